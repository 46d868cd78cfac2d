#version 330
uniform sampler2D radiance;
in vec2 uv;
out vec4 colour;
void main() { colour = vec4(texture(radiance, uv).rgb, 1.0); }
