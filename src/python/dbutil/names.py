"""Named parameters: which `:name` in a statement is one.

A colon in a string, a comment, a quoted identifier, a cast (::) or an array
slice is none, as the server's own scanner has it (src/core/named_params.c). A
parameter's colon does not follow a letter, a digit or a closing bracket.
"""

import functools
import re

_TOKEN = re.compile(r"""
      (?P<skip>
          --[^\n]*
        | [eE]'(?:[^'\\]|\\.|'')*'
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"
        | \$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$
        | [A-Za-z_\x80-\U0010ffff][\w$]*      # a word, so that what looks like e'..' or $..$ in it is not seen
        | ::+ | :=
      )
    | (?P<comment>/\*)
    | (?<![\w\])]):(?P<name>[A-Za-z_]\w*)
    | (?P<colon>:)
""", re.VERBOSE | re.DOTALL)
_COMMENT = re.compile(r"/\*|\*/")


def _end_of_comment(sql, at):
    """Comments nest. at: behind the first /*."""
    depth = 1
    while depth:
        found = _COMMENT.search(sql, at)
        if found is None:
            return len(sql)
        depth += 1 if found.group() == "/*" else -1
        at = found.end()
    return at


@functools.lru_cache(maxsize=1000)
def split(sql):
    """The statement as (texts, names): names[i] stands between texts[i] and texts[i + 1]."""
    texts, names, start, at = [], [], 0, 0
    while True:
        found = _TOKEN.search(sql, at)
        if found is None:
            break
        at = found.end()
        if found.group("comment"):
            at = _end_of_comment(sql, at)
        elif found.group("name"):
            texts.append(sql[start:found.start()])
            names.append(found.group("name"))
            start = at
    texts.append(sql[start:])
    return tuple(texts), tuple(names)


@functools.lru_cache(maxsize=1000)
def numbered(sql):
    """The statement with $1, $2, ... and the names in that order, each once."""
    texts, names = split(sql)
    order = list(dict.fromkeys(names))
    out = [texts[0]]
    for name, text in zip(names, texts[1:]):
        out += ["$%d" % (order.index(name) + 1), text]
    return "".join(out), tuple(order)


@functools.lru_cache(maxsize=1000)
def for_sqlalchemy(sql):
    """The statement with all colons escaped but those that SQLAlchemy shall see."""
    texts, names = split(sql)
    out = [texts[0].replace(":", "\\:")]
    for name, text in zip(names, texts[1:]):
        out += [":" + name, text.replace(":", "\\:")]
    return "".join(out)


def check(names, params):
    """Every name has its value, and no value is left over."""
    missing = [name for name in names if name not in params]
    if missing:
        raise ValueError("parameter :%s has no value" % missing[0])
    for name in params:
        if name not in names:
            raise ValueError("the statement has no parameter :%s" % name)
