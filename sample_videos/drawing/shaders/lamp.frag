#version 330
uniform sampler2D place;
uniform sampler2D facing;
uniform sampler2DShadow depth;
uniform mat4 lamp_projection;
uniform vec3 direction;
uniform float strength;
in vec2 uv;
out vec4 light;
void main() {
    vec3 p = texture(place, uv).xyz, n = texture(facing, uv).xyz;
    float lit = max(dot(n, direction), 0.0);
    vec4 q = lamp_projection * vec4(p + n * 0.02, 1.0);
    vec3 s = q.xyz * 0.5 + 0.5;
    light = vec4(vec3(lit * strength * texture(depth, vec3(s.xy, s.z - 0.0015))), 1.0);
}
