#version 330
// Shades one person from the geometry buffer: clothes and faces are painted in rest-pose coordinates r.
uniform vec4 outfit[13];
uniform vec4 panels[4];
uniform vec3 eye;
uniform vec3 sky;
uniform vec3 ground;
uniform float identity;
uniform sampler2DArray prints;
uniform sampler2D rest;
uniform sampler2D facing;
uniform sampler2D world;
uniform sampler2D who;
out vec4 colour;
//NOISE
const vec3 ARM = vec3(0.642788, 0.0, -0.766044);
const vec3 SHOULDER = vec3(0.168, -0.008, 1.415);
vec3 r;
float kind;

float line(float x, float duty, float width) {
    float f = fract(x), w = width + 1e-4;
    return clamp((duty - f) / w + 0.5, 0.0, 1.0) * clamp(f / w + 0.5, 0.0, 1.0) + clamp((f - 1.0) / w + 0.5, 0.0, 1.0);
}
vec3 weave(vec2 uv, vec4 first, vec4 second, bool arm, float seed, float pixel) {
    float pattern = first.w, scale = second.w, w = pixel * scale;
    vec3 a = first.rgb, b = second.rgb, c = a;
    float x = line(uv.x * scale, 0.45, w), y = line(uv.y * scale, 0.48, w);
    if (pattern > 0.5) c = mix(a, b, y);
    if (pattern > 1.5) c = mix(mix(a, b, 0.5 * (x + y)), vec3(0.9), 0.4 * max(line(uv.x * scale + 0.37, 0.07, w), line(uv.y * scale + 0.37, 0.07, w)));
    if (pattern > 2.5) {
        vec2 at = vec2(r.x, r.z - 1.25) / (r.y > 0.0 ? 0.24 : 0.30) + 0.5;
        if (r.y > 0.0) at.x = 1.0 - at.x;
        vec4 t = textureLod(prints, vec3(at.x, 1.0 - at.y, outfit[3].w), clamp(log2(pixel * 530.0), 0.0, 5.0));
        bool off = arm || any(lessThan(at, vec2(0.0))) || any(greaterThan(at, vec2(1.0))) || (r.y < 0.0 && scale < 10.0);
        c = off ? a : mix(a, t.rgb, t.a);
    }
    if (pattern > 3.5) c = uv.y > 1.20 ? a : b;
    if (pattern > 4.5) {
        vec2 g = uv * scale;
        g.x += 0.5 * floor(mod(g.y, 2.0));
        c = mix(b, a, smoothstep(0.26 - w, 0.28 + w, length(fract(g) - 0.5)));
    }
    if (pattern > 5.5) c = mix(a, b, x);
    if (pattern > 6.5) {
        float f = noise(r * scale * 1.6 + seed), g = noise(r * scale * 2.3 + seed + 9.0);
        c = mix(mix(a, b, smoothstep(0.48, 0.56, f)), min(vec3(0.85, 0.8, 0.7) * (a + b), 0.9), 0.6 * smoothstep(0.66, 0.72, g));
    }
    if (pattern > 7.5) c = (uv.y > 1.16 && uv.y < 1.27) ? b : a;
    if (pattern > 8.5) c = arm ? b : a;
    if (pattern > 9.5) c = mix(a, b, 0.35 + 0.35 * sin(uv.x * 240.0) * sin(uv.y * 300.0) * clamp(1.4 - 260.0 * pixel, 0.0, 1.0));
    if (pattern > 10.5) c = a * (0.85 + 0.5 * smoothstep(0.66, 0.78, uv.y) * smoothstep(0.92, 0.8, uv.y) * step(0.0, r.y));
    return c;
}
vec3 face(vec3 c, float grain, inout float gloss) {
    if (r.y < -0.02 || r.z < 1.50) return c;
    float x = abs(r.x);
    c = mix(c, c * vec3(1.12, 0.86, 0.82), 0.5 * exp(-pow(length(vec2(x - 0.038, r.z - 1.61)) / 0.022, 2.0)));
    c *= 1.0 - 0.28 * exp(-pow(length(vec2((x - 0.032) / 1.5, r.z - 1.650)) / 0.014, 2.0));
    float beard = smoothstep(1.605, 1.590, r.z - 0.35 * max(x - 0.03, 0.0)) * smoothstep(0.0, 0.05, r.y);
    beard = max(beard, step(length(vec2(x * 0.55, r.z - 1.592)), 0.013));
    c = mix(c, outfit[1].rgb, outfit[0].w * beard * (0.6 + 0.4 * grain));
    if (r.y > 0.04) {
        c = mix(outfit[12].rgb, c, smoothstep(0.0075, 0.0105, length(vec2(x / 2.4, r.z - 1.578))));
        c *= 1.0 - 0.5 * smoothstep(0.0022, 0.0, abs(r.z - 1.5785)) * step(x, 0.021);
        c *= 1.0 - 0.45 * step(length(vec2(x - 0.0065, r.z - 1.603)), 0.004);
        c = mix(outfit[1].rgb * 0.8, c, smoothstep(0.0045, 0.0075, length(vec2((x - 0.034) / 2.6, r.z - 1.671 - 0.08 * (0.034 - x)))));
        vec2 e = vec2(x - 0.0315, (r.z - 1.6485) * 2.2);
        float d = length(e);
        if (d < 0.0165) c *= r.z > 1.6485 ? 0.4 : 0.75;
        if (d < 0.0125) { c = vec3(0.48, 0.45, 0.42); gloss = 0.3; }
        if (d < 0.0125 && length(vec2(e.x, e.y / 2.2)) < 0.0068) c = vec3(0.06, 0.04, 0.03);
    }
    vec2 g = vec2(x - 0.034, r.z - 1.647);
    bool rim = r.y > 0.05 && abs(length(max(abs(g) - vec2(0.017, 0.010), 0.0)) - 0.008) < 0.0028;
    bool stem = (r.y < 0.085 && abs(r.z - 1.652) < 0.0035 && x > 0.05) || (x < 0.011 && r.y > 0.05 && abs(r.z - 1.652) < 0.003);
    if (outfit[1].w > 0.5 && (rim || stem)) { c = vec3(0.03); gloss = 0.4; }
    return c;
}
vec3 top(vec3 c, vec3 skin, float grain, float along, bool arm) {
    // The neckline is a circle around the neck, drawn out to a V in front.
    float ring = length(vec2(r.x, r.y + 0.014)) - outfit[7].y;
    if (r.y > 0.0) ring = min(ring, max(abs(r.x) * 1.3 - 0.055 * outfit[7].w, 1.445 - 0.075 * outfit[7].w + abs(r.x) * 1.1 - r.z));
    float gap = 0.022 + 0.11 * max(0.0, r.z - 1.16);
    bool front = r.y > 0.0 && !arm;
    if (front && outfit[6].w > 0.5 && abs(r.x) < gap + 0.012) c = abs(r.x) < gap ? outfit[6].rgb * (0.92 + 0.16 * grain) : outfit[4].rgb * 0.6;
    if (front && outfit[6].w < 0.5 && outfit[6].w > 0.2 && abs(r.x) < 0.006) c *= 0.55;
    if (front && outfit[2].w > 0.5 && r.z < 1.27 && abs(r.x) < 0.13) c = outfit[5].rgb;
    if (front && outfit[2].w > 0.5 && abs(r.x + 0.08) < 0.035 && abs(r.z - 1.33) < 0.014) c = vec3(0.92);
    if (arm && abs(along - outfit[7].x) < 0.012) c *= 0.75;
    if (abs(r.z - outfit[7].z) < 0.018 || (ring < 0.011 && r.z > 1.33 && !arm)) c *= 0.78;
    bool bare = (arm && along > outfit[7].x) || (ring < 0.0 && r.z > 1.33 && !arm);
    return bare ? skin : c;
}
void main() {
    ivec2 at = ivec2(gl_FragCoord.xy);
    if (abs(texelFetch(who, at, 0).r - identity) > 0.001) discard;
    vec4 g0 = texelFetch(rest, at, 0), g1 = texelFetch(facing, at, 0);
    vec3 p = texelFetch(world, at, 0).xyz, normal = normalize(g1.xyz), view = normalize(eye - p);
    r = g0.xyz;
    kind = floor(g0.w + 0.5);
    float open = g1.w, gloss = 0.03, fold = 0.0, pixel = length(eye - p) * 0.0016;
    bool lower = kind == 2.0 || kind == 8.0;
    float along = dot(vec3(abs(r.x), r.yz) - SHOULDER, ARM);
    vec3 side = vec3(abs(r.x), r.yz) - SHOULDER - ARM * along;
    bool arm = kind == 1.0 && along > 0.03 && abs(r.x) > 0.175 && length(side) < 0.125;
    vec2 uv = vec2(atan(r.x, abs(r.y) + 0.03) * 0.17, r.z);
    if (arm) uv = vec2(atan(side.y, dot(side, vec3(0.766044, 0.0, 0.642788))) * 0.05, 1.40 - along);
    if (kind == 2.0) uv.x = atan(abs(r.x) - 0.1, r.y + 0.01) * 0.07;
    float grain = noise(r * (kind == 5.0 ? vec3(110.0, 110.0, 34.0) : kind == 0.0 || kind == 4.0 ? vec3(34.0) : vec3(130.0)));
    vec3 cloth = weave(uv, lower ? outfit[8] : outfit[4], lower ? outfit[9] : outfit[5], arm, outfit[10].w + (lower ? 3.0 : 0.0), pixel);
    vec3 skin = outfit[0].rgb * (0.93 + 0.14 * grain), albedo = skin;
    if (kind == 0.0) { gloss = 0.10; albedo = face(skin, grain, gloss); }
    if (kind == 1.0) { fold = 0.55; albedo = top(cloth * (0.95 + 0.1 * grain), skin, grain, along, arm); }
    if (kind == 2.0) {
        bool bare = r.z < outfit[10].x;
        fold = bare ? 0.0 : 0.5;
        albedo = bare ? skin : cloth * (0.94 + 0.12 * grain) * (r.z > 1.005 ? 0.6 : 1.0) * (abs(abs(r.x) - 0.175) < 0.004 || r.z < outfit[10].x + 0.015 ? 0.8 : 1.0);
    }
    if (kind == 3.0) { gloss = 0.12; albedo = r.z < 0.024 ? vec3(mix(0.04, 0.75, outfit[11].w)) : outfit[11].rgb * (r.y > 0.03 && r.y < 0.085 && r.z > 0.05 ? 1.35 : 1.0); }
    if (kind == 5.0) { gloss = 0.16; albedo = outfit[1].rgb * (0.5 + 0.8 * grain); fold = 0.5; }
    if (kind == 6.0) { fold = 0.2; albedo = outfit[2].rgb * (0.88 + 0.24 * grain); }
    if (kind == 7.0) {
        fold = 0.25; gloss = 0.12;
        albedo = outfit[3].rgb * (abs(fract(r.z * 9.0 + outfit[10].w) - 0.5) < 0.03 ? 0.6 : 1.0) * (0.92 + 0.16 * grain);
        if (outfit[12].w > 1.5) albedo *= 0.6 + 0.45 * line(r.z * 26.0, 0.55, pixel * 26.0);
    }
    if (kind == 8.0) { fold = 0.4; albedo = cloth * (r.z < outfit[10].y + 0.012 ? 0.75 : 1.0); }
    if (dot(normal, view) < -0.3) { normal = -normal; open *= 0.6; }
    vec3 q = r * vec3(17.0, 17.0, 7.0) + outfit[10].w;
    normal = normalize(normal - fold * 0.27 * (noise_gradient(q).yzw + noise_gradient(q * 2.3).yzw));
    vec3 light = mix(ground, sky * 0.9, 0.5 + 0.5 * normal.z) * open * mix(0.7, 1.0, smoothstep(-0.1, 1.3, p.z));
    vec3 shine = vec3(0.0);
    for (int i = 0; i < 4; i++) {
        vec3 to = panels[i].xyz - p;
        float near = panels[i].w / (1.0 + 0.12 * dot(to, to));
        to = normalize(to);
        light += sky * near * clamp((dot(normal, to) + 0.25) / 1.25, 0.0, 1.0) * mix(open, 1.0, 0.35);
        float s = max(dot(normal, normalize(to + view)), 0.0);
        s *= s; s *= s; s *= s;
        shine += sky * near * s * s;
    }
    float rim = 1.0 - max(dot(normal, view), 0.0);
    colour = vec4(albedo * light + gloss * (shine * 1.5 + rim * rim * rim * 0.2 * sky), 1.0);
}
