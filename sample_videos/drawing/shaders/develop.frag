#version 330
uniform sampler2D radiance;
uniform vec3 gain;
uniform float vignette;
uniform float grain;
uniform float seed;
uniform float contrast;
#ifdef SOFT
uniform float soft;
#endif
uniform vec4 window;
in vec2 own;
in vec2 uv;
out vec4 colour;
//NOISE
vec3 film(vec3 x) { return clamp(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0); }
#ifdef OUTLINE
uniform sampler2D who;
float luma(vec3 c) { float l = dot(c, vec3(0.3, 0.59, 0.11)); return l / (1.0 + l); }
// Smooths along the outline of a person, after the idea of FXAA: blur in the direction of the edge.
vec3 outline(vec3 c, vec2 texel) {
    float here = texture(who, own).r;
    float nw = texture(who, own + texel * vec2(-1, -1)).r, ne = texture(who, own + texel * vec2(1, -1)).r;
    float sw = texture(who, own + texel * vec2(-1, 1)).r, se = texture(who, own + texel * vec2(1, 1)).r;
    if (here + nw + ne + sw + se == 0.0) return c;
    float lnw = luma(texture(radiance, own + texel * vec2(-1, -1)).rgb), lne = luma(texture(radiance, own + texel * vec2(1, -1)).rgb);
    float lsw = luma(texture(radiance, own + texel * vec2(-1, 1)).rgb), lse = luma(texture(radiance, own + texel * vec2(1, 1)).rgb);
    vec2 along = vec2(-((lnw + lne) - (lsw + lse)), (lnw + lsw) - (lne + lse));
    float scale = 1.0 / (min(abs(along.x), abs(along.y)) + max(0.03 * (lnw + lne + lsw + lse), 0.008));
    along = clamp(along * scale, -4.0, 4.0) * texel;
    vec3 close = 0.5 * (texture(radiance, own - along / 6.0).rgb + texture(radiance, own + along / 6.0).rgb);
    vec3 far = 0.5 * close + 0.25 * (texture(radiance, own - along * 0.5).rgb + texture(radiance, own + along * 0.5).rgb);
    return 0.8 * far + 0.2 * c;
}
#endif
void main() {
    vec2 texel = 1.0 / vec2(textureSize(radiance, 0));
    vec3 c = texture(radiance, own).rgb;
#ifdef OUTLINE
    c = outline(c, texel);
#endif
#ifdef SOFT
    vec2 t = soft * texel;
    c = 0.4 * c + 0.15 * (texture(radiance, own + vec2(t.x, 0)).rgb + texture(radiance, own - vec2(t.x, 0)).rgb + texture(radiance, own + vec2(0, t.y)).rgb + texture(radiance, own - vec2(0, t.y)).rgb);
#endif
    vec2 from = uv - 0.5;
    c *= gain * (1.0 - vignette * dot(from, from) * 2.0);
    c = film(c * 0.80);
    c = pow(c, vec3(1.0 / 2.2));
    c = mix(c, c * c * (3.0 - 2.0 * c), contrast);
    c = mix(vec3(dot(c, vec3(0.3, 0.59, 0.11))), c, 0.86);
    float g = hash(vec3(gl_FragCoord.xy, seed)) + hash(vec3(gl_FragCoord.yx + 17.0, seed + 3.0)) - 1.0;
    colour = vec4(c + grain * g, 1.0);
}
