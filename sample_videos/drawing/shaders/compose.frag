#version 330
uniform sampler2D albedo;
uniform sampler2D facing;
uniform sampler2D place;
uniform sampler2D light;
uniform vec3 sky;
uniform vec3 ground;
uniform vec3 eye;
uniform float ceiling;
in vec2 uv;
out vec4 colour;
float lamps(vec2 q, float blur) {
    vec2 g = fract(q / vec2(2.4, 3.0)) * vec2(2.4, 3.0) - vec2(1.2, 1.5);
    vec2 e = smoothstep(vec2(0.6 + blur), vec2(0.6 - blur), abs(g));
    return e.x * e.y;
}
void main() {
    vec4 a = texture(albedo, uv);
    vec3 n = texture(facing, uv).xyz, p = texture(place, uv).xyz;
    if (a.a < -0.5) { colour = vec4(a.rgb * sky, 1.0); return; }
    float direct = texture(light, uv).r;
    float pool = 0.82 + 0.36 * lamps(p.xy, 0.9);
    vec3 bounce = mix(ground, 0.55 * sky, 0.5 + 0.5 * n.z) * 0.75;
    float open = 0.35 + 0.65 * clamp(direct * 1.3 + 0.25 * (1.0 - abs(n.z)), 0.0, 1.0);
    vec3 c = a.rgb * (sky * direct * pool * 0.95 + bounce * open);
    if (a.a > 0.01) {
        vec3 view = normalize(p - eye), up = reflect(view, n);
        float fresnel = 0.04 + 0.96 * pow(1.0 - max(dot(-view, n), 0.0), 5.0);
        if (up.z > 0.05) c += a.a * fresnel * sky * 3.2 * lamps(p.xy + up.xy / up.z * (ceiling - p.z), 0.45) * open;
        c += a.a * 0.5 * fresnel * sky;
    }
    colour = vec4(c, 1.0);
}
