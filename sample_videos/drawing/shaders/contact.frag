#version 330
// Soft shadow of one body on what surrounds it: how much ceiling its spheres hide, faded out at 0.8 m.
uniform sampler2D place;
uniform vec4 balls[24];
uniform int count;
in vec2 uv;
out vec4 colour;
void main() {
    vec4 here = texture(place, uv);
    bool ground = here.z < 0.02;
    float open = 1.0;
    float fade = 1.0 - smoothstep(0.15, 0.8, length(balls[4].xy - here.xy));
    int near = fade > 0.0 ? count : 0;
    for (int i = 0; i < near; i++) {
        vec3 to = balls[i].xyz - here.xyz;
        float d2 = dot(to, to) + 1e-4, r2 = balls[i].w * balls[i].w;
        float facing = ground ? max(to.z, 0.0) * inversesqrt(d2) * 4.0 : 0.3;
        open *= 1.0 - clamp(facing * r2 / max(d2, r2), 0.0, 0.8);
    }
    colour = vec4(vec3(1.0 - 0.85 * (1.0 - open) * fade), 1.0);
}
