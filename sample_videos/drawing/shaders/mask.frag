#version 330
uniform float hem;
in vec3 r;
in vec2 k;
out float seen;
void main() {
    if (k.x > 7.5 && r.z < hem) discard;
    seen = 1.0;
}
