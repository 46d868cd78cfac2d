#version 330
uniform sampler2DArray labels;
uniform vec4 floor_a;
uniform vec4 floor_b;
in vec3 p;
in vec3 n;
in vec2 t;
in vec3 c;
flat in vec2 m;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 facing;
layout(location = 2) out vec4 place;
//NOISE
void main() {
    vec3 a = c;
    float gloss = 0.0;
    if (m.x < 0.5) { a *= 0.95 + 0.1 * noise(p * 3.0); }
    else if (m.x < 1.5) {
        vec2 g = p.xy / floor_a.w, cell = floor(g), f = abs(fract(g) - 0.5);
        vec2 w = fwidth(g);
        float check = mod(cell.x + cell.y, 2.0);
        a = mix(floor_a.rgb, floor_b.rgb, check) * (0.93 + 0.10 * hash(vec3(cell, 1.0)) + 0.06 * noise(p * vec3(2.0, 2.0, 1.0)) + 0.05 * noise(p * 23.0));
        float joint = max(smoothstep(0.485 - w.x, 0.5, f.x), smoothstep(0.485 - w.y, 0.5, f.y));
        a *= 1.0 - 0.35 * joint;
        gloss = floor_b.w;
    }
    else if (m.x < 2.5) { vec4 l = texture(labels, vec3(t, m.y)); a = mix(c, l.rgb, l.a); gloss = 0.05; }
    else if (m.x < 3.5) { a = texture(labels, vec3(t, m.y)).rgb; }
    else if (m.x < 4.5) { a *= 0.94 + 0.08 * noise(p * 1.3) + 0.03 * noise(p * 40.0); if (p.z < 0.12) a *= 0.55; }
    else if (m.x < 5.5) {
        vec2 g = fract(p.xy / vec2(2.4, 3.0)) * vec2(2.4, 3.0);
        bool lamp = g.x > 0.6 && g.x < 1.8 && g.y > 0.9 && g.y < 2.1;
        vec2 j = abs(fract(p.xy / 0.6) - 0.5);
        a = lamp ? vec3(6.0) : vec3(0.75) * (max(j.x, j.y) > 0.485 ? 0.7 : 1.0);
        gloss = -1.0;
    }
    else if (m.x < 6.5) { a *= 0.8 + 0.25 * noise(p * vec3(30.0, 3.0, 30.0)) + 0.1 * noise(p * vec3(120.0, 9.0, 120.0)); gloss = 0.1; }
    else { gloss = -1.0; a *= 0.8 + 0.35 * noise(p * vec3(0.8, 0.8, 2.0)); }
    albedo = vec4(a, gloss);
    facing = vec4(n, 0.0);
    place = vec4(p, gl_FragCoord.z);
}
