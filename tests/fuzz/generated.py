"""Generated configs and recipes: valid documents with a few things wrong, and text that is barely YAML."""

from hypothesis import strategies as st

KEYS = [
    "cameras", "a", "source", "start_time", "offset", "fps", "every", "homography", "database", "detector", "weights",
    "confidence", "image_size", "batch", "device", "tracker", "name", "lost_seconds", "appearance", "linking", "mode",
    "max_speed", "threads", "train", "backbone", "width", "pretrained", "frozen", "regions", "mask", "kind", "losses",
    "sampling", "identities", "per_folder", "schedule", "epochs", "occlusion", "saliency", "clip", "teacher", "network",
    "held_out", "folders", "seed", "amp", "<<", "~", "on", "1",
]  # fmt: skip
ODD = [
    "", "~", "null", "true", "yes", "0", "-1", "1e308", "1e-320", "-1e999", ".inf", ".nan", "nan", "0x_", "0b", "1:30",
    "9" * 30, "9" * 5000, "0x" + "f" * 4000, "2024-05-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00",
    "99999-99-99", "1e300", "!!int abc", "!!python/object:os.system x", "!!binary '%'", "!local x", "&a x", "*a", "*b",
    "~nobody/x", "~/x", "../../x", "/" + "x" * 5000, "a/" * 2000, '"\\0"', '"\\uD800"', '"\\UFFFFFFFF"', '"\\e[2J"',
    "'a\n\n b'", "|\n  a\n  b", "rtsp://u:p@h/1", "sqlite://", ":memory:", "postgresql://h:99999/x", "person", "[]",
    "{}", "[[]]", "[1, 2, 3]", "[[1,2,3],[2,4,6],[0,0,1]]", "[[1,0,0],[0,1,0],[0,0,1]]",
    "[[1e308,0,0],[0,1,0],[0,0,1]]",
    "{a: {source: b}}", "\u202e", "\U0001f4f9", "=", "<<", "%", "@", "`", "- - - -", "? ? ?", "\ufeff", "\t",
]  # fmt: skip

words = st.one_of(
    st.sampled_from(ODD), st.sampled_from(KEYS), st.integers().map(str), st.floats().map(repr), st.text(max_size=20)
)
keys = st.one_of(st.sampled_from(KEYS), st.sampled_from(KEYS), st.text(max_size=8))


def _mapping(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(keys, children), max_size=4)
    return pairs.map(lambda rows: "{" + ", ".join(f"{key}: {value}" for key, value in rows) + "}")


def _sequence(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(children, max_size=4).map(lambda rows: f"[{', '.join(rows)}]")


values = st.recursive(words, lambda children: st.one_of(_mapping(children), _sequence(children)), max_leaves=8)
lines = st.lists(st.tuples(keys, values), max_size=6).map(
    lambda rows: "".join(f"{key}: {value}\n" for key, value in rows)
)

CAMERA = "cameras: {{a: {{source: a.mp4, {key}: {value}}}}}\n"
IN_SECTION = "{start}\n{section}: {{{key}: {value}}}\n"
SECTIONS = [
    "detector", "tracker", "appearance", "linking", "backbone", "regions", "mask", "losses", "sampling", "schedule",
    "occlusion", "augmentation", "distillation", "teacher", "clip", "held_out", "prototypes",
]  # fmt: skip

nearly_valid = st.one_of(
    st.builds(lambda key, value: CAMERA.format(key=key, value=value), keys, values),
    st.builds(
        lambda start, section, key, value: IN_SECTION.format(start=start, section=section, key=key, value=value),
        st.sampled_from(["cameras: {a: {source: a.mp4}}", "train: [crops]"]), st.sampled_from(SECTIONS), keys, values),
    st.builds(
        lambda start, rest: start + rest, st.sampled_from(["cameras: {a: {source: x}}\n", "train: [x]\n"]), lines),
)
documents = st.one_of(
    nearly_valid.map(lambda text: text.encode("utf-8", "surrogatepass")),
    nearly_valid.map(lambda text: text.encode("utf-8", "surrogatepass")),
    lines.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.text(alphabet="-?:,[]{}#&*!|>'\"%@` \n\ta1~<=.", max_size=60).map(str.encode),
    st.binary(max_size=80),
)
