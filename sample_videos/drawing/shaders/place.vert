#version 330
uniform mat4 view_projection;
in vec3 point;
in vec3 normal;
in vec2 texcoord;
in vec3 tint;
in vec2 material;
out vec3 p;
out vec3 n;
out vec2 t;
out vec3 c;
flat out vec2 m;
void main() {
    p = point; n = normal; t = texcoord; c = tint; m = material;
    gl_Position = view_projection * vec4(point, 1.0);
}
