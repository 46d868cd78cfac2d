#version 330
in vec2 corner;
uniform vec4 window;
out vec2 uv;
out vec2 own;
void main() {
    own = corner * 0.5 + 0.5;
    uv = mix(window.xy, window.zw, own);
    gl_Position = vec4(corner, 0.0, 1.0);
}
