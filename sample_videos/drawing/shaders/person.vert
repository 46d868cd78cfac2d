#version 330
uniform mat4 view_projection;
uniform mat4 place;
uniform mat4 bones[17];
in vec3 rest;
in vec3 rest_normal;
in vec2 kind;
in uvec4 bone;
in vec4 weight;
out vec3 r;
out vec3 p;
out vec3 n;
out vec2 k;
void main() {
    mat4 skin = bones[bone.x] * weight.x + bones[bone.y] * weight.y + bones[bone.z] * weight.z + bones[bone.w] * weight.w;
    mat4 model = place * skin;
    vec4 world = model * vec4(rest, 1.0);
    r = rest;
    p = world.xyz;
    n = mat3(model) * rest_normal;
    k = kind;
    gl_Position = view_projection * world;
}
