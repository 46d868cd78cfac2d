#version 330
uniform float hem;
uniform float identity;
in vec3 r;
in vec3 p;
in vec3 n;
in vec2 k;
layout(location = 0) out vec4 rest;
layout(location = 1) out vec4 facing;
layout(location = 2) out vec4 world;
layout(location = 3) out float who;
void main() {
    if (k.x > 7.5 && r.z < hem) discard;
    rest = vec4(r, k.x);
    facing = vec4(n, k.y);
    world = vec4(p, 1.0);
    who = identity;
}
