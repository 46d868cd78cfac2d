#version 330
uniform sampler2D place;
in vec2 uv;
layout(location = 0) out vec4 rest;
layout(location = 1) out vec4 facing;
layout(location = 2) out vec4 world;
layout(location = 3) out float who;
void main() {
    rest = facing = world = vec4(0.0);
    who = 0.0;
    gl_FragDepth = texture(place, uv).w;
}
