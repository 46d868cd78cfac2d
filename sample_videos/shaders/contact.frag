#version 330
uniform sampler2D place;
uniform vec4 balls[24];
uniform int count;
in vec2 uv;
out vec4 colour;
void main() {
    vec4 here = texture(place, uv);
    vec3 normal = here.z < 0.02 ? vec3(0, 0, 1) : vec3(0);
    float open = 1.0;
    for (int i = 0; i < count; i++) {
        vec3 to = balls[i].xyz - here.xyz;
        float d2 = dot(to, to) + 1e-4, d = sqrt(d2), r2 = balls[i].w * balls[i].w;
        float facing = here.z < 0.02 ? max(to.z / d, 0.0) : 0.35;
        open *= 1.0 - clamp(facing * r2 / max(d2, r2) * (here.z < 0.02 ? 1.5 : 0.5), 0.0, 0.9);
    }
    colour = vec4(vec3(mix(0.12, 1.0, open)), 1.0);
}
