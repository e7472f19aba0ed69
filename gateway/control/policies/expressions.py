"""Regular expressions without backtracking: time grows with the text only, whatever the expression.

A small language: literals, `.`, classes `[a-z]` `[^a-z]` `\\d \\w \\s` (and `\\D \\W \\S`), groups `( )`,
`|`, `* + ?`, `{m}` `{m,}` `{m,n}`, and `^` `$`. No back references, no look-around: an automaton cannot do
them. The automaton (Thompson's) is made deterministic while it runs, state by state, in a bounded cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

REPEAT_LIMIT = 100
"""The largest number in `{m,n}`."""
STATE_LIMIT = 2_000
"""States of an automaton: repeats inside repeats multiply."""
_CACHE_LIMIT = 10_000
_DEPTH_LIMIT = 20

Matcher = Callable[[str], bool]


class PatternError(ValueError):
    """Not a pattern we know; the text says what is wrong and where."""


@dataclass(slots=True)
class _State:
    """`matcher`: takes one character on to `out`. Else an empty step to all of `out`, if `at` lets it."""

    out: list[int]
    matcher: Matcher | None = None
    at: str = ""  # "^" only at the start, "$" only at the end


@dataclass(slots=True, eq=False)
class _Step:
    """A state of the deterministic automaton."""

    states: frozenset[int]
    accepts: bool
    accepts_at_end: bool
    next: dict[str, _Step] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Automaton:
    states: tuple[_State, ...]
    start: int
    final: int

    def closure(self, seeds: Iterable[int], *, at_start: bool = False, at_end: bool = False) -> set[int]:
        """All states reachable from `seeds` without taking a character."""
        reached: set[int] = set()
        waiting = list(seeds)
        while waiting:
            number = waiting.pop()
            if number in reached:
                continue
            reached.add(number)
            state = self.states[number]
            if state.matcher is not None or (state.at == "^" and not at_start):
                continue
            if state.at == "$" and not at_end:
                continue
            waiting.extend(state.out)
        return reached


class Expression:
    """An expression as written, with its slashes; made by `parse`."""

    def __init__(self, text: str, automaton: _Automaton) -> None:
        self.text = text
        self._automaton = automaton
        self._steps: dict[frozenset[int], _Step] = {}
        self._edges = 0
        self._first = self._step(automaton.closure([automaton.start], at_start=True), at_start=True)

    @classmethod
    def parse(cls, text: str) -> Expression:
        """The expression between the slashes of `text`. Raises PatternError."""
        return cls(text, _Parser(text[1:-1]).automaton())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def matches(self, value: str) -> bool:
        """Whether the expression is found in `value` (casefolded)."""
        step = self._first
        if step.accepts or (not value and step.accepts_at_end):
            return True
        for character in value:
            following = step.next.get(character)
            if following is None:
                following = self._follow(step, character)
            if following.accepts:
                return True
            step = following
        return step.accepts_at_end

    def _follow(self, step: _Step, character: str) -> _Step:
        states = self._automaton.states
        taken = [
            target
            for number in step.states
            if (matcher := states[number].matcher) is not None and matcher(character)
            for target in states[number].out
        ]
        # The expression may begin at any place of the text: its start is always among the states.
        reached = self._automaton.closure([*taken, self._automaton.start])
        if self._edges >= _CACHE_LIMIT:
            self._steps.clear()
            self._first.next.clear()
            self._edges = 0
            return self._step(reached)
        following = self._step(reached)
        step.next[character] = following
        self._edges += 1
        return following

    def _step(self, reached: set[int], *, at_start: bool = False) -> _Step:
        key = frozenset(reached)
        known = None if at_start else self._steps.get(key)
        if known is None:
            final = self._automaton.final
            ends = self._automaton.closure(reached, at_start=at_start, at_end=True)
            known = _Step(key, final in reached, final in ends)
            if not at_start:
                self._steps[key] = known
        return known


class _Parser:
    """Recursive descent over the expression; builds the automaton as it goes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._states: list[_State] = []

    def automaton(self) -> _Automaton:
        start, end = self._alternatives()
        if self._at < len(self._text):
            raise self._error("a ) that closes nothing")
        return _Automaton(tuple(self._states), start, end)

    def _alternatives(self) -> tuple[int, int]:
        branches = [self._sequence()]
        while self._take("|"):
            branches.append(self._sequence())
        if len(branches) == 1:
            return branches[0]
        start = self._new([first for first, _ in branches])
        end = self._new([])
        for _, last in branches:
            self._states[last].out.append(end)
        return start, end

    def _sequence(self) -> tuple[int, int]:
        start = end = self._new([])
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            first, last = self._repeated()
            self._states[end].out.append(first)
            end = last
        return start, end

    def _repeated(self) -> tuple[int, int]:
        begin = self._at
        first, last = self._atom()
        behind = self._at
        least, most = self._quantifier()
        if (least, most) == (1, 1):
            return first, last
        resume = self._at
        if resume < len(self._text) and self._text[resume] in "*+?{":
            raise self._error("a repeat of a repeat; put the first into ( )")
        parts = [(first, last)]
        for _ in range(max(least, most or 0, 1) - 1):
            # Each copy is parsed anew from the same text: simpler than copying states.
            self._at = begin
            parts.append(self._atom())
            assert self._at == behind, "the same text is the same atom"
        self._at = resume
        return self._chain(parts, least, most)

    def _chain(self, parts: list[tuple[int, int]], least: int, most: int | None) -> tuple[int, int]:
        """The parts one after the other; those over `least` may be left out, the last repeats for ever."""
        end = self._new([])
        start = self._new([parts[0][0]])
        if least == 0:
            self._states[start].out.append(end)
        for position, (_, last) in enumerate(parts):
            following = parts[position + 1][0] if position + 1 < len(parts) else None
            if following is not None:
                self._states[last].out.append(following)
            elif most is None:
                self._states[last].out.append(parts[position][0])
            if position + 1 >= least:
                self._states[last].out.append(end)
        return start, end

    def _quantifier(self) -> tuple[int, int | None]:
        if self._take("*"):
            return 0, None
        if self._take("+"):
            return 1, None
        if self._take("?"):
            return 0, 1
        if not self._take("{"):
            return 1, 1
        close = self._text.find("}", self._at)
        low, comma, high = self._text[self._at : close].partition(",") if close >= 0 else ("", "", "")
        if not low.isdecimal() or not (high.isdecimal() or not high):
            raise self._error("a { without a number and }; write \\{ for the sign itself")
        self._at = close + 1
        least, most = int(low), int(high) if high else (None if comma else int(low))
        if max(least, most or 0) > REPEAT_LIMIT or (most is not None and (most < least or most == 0)):
            raise self._error(f"a repeat whose numbers are not 1 to {REPEAT_LIMIT} and in order")
        return least, most

    def _atom(self) -> tuple[int, int]:
        character = self._text[self._at]
        self._at += 1
        if character == "(":
            return self._group()
        if character in "*+?{":
            self._at -= 1
            raise self._error(f"a {character} with nothing before it to repeat")
        if character in "^$":
            end = self._new([])
            return self._new([end], at=character), end
        folded = character.casefold()
        if len(folded) > 1:
            return self._row(folded)  # the sharp s, ligatures
        return self._one(self._matcher(character))

    def _group(self) -> tuple[int, int]:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._text.startswith("?", self._at):
            raise self._error("a (? group: look-around and flags are not known here")
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise self._error(f"groups nested over {_DEPTH_LIMIT} deep")
        inner = self._alternatives()
        self._depth -= 1
        if not self._take(")"):
            raise self._error("a ( that is not closed")
        return inner

    def _matcher(self, character: str) -> Matcher:
        if character == ".":
            return lambda _: True
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        return _literal(character)

    def _escape(self) -> Matcher:
        if self._at >= len(self._text):
            raise self._error("a backslash at the end")
        character = self._text[self._at]
        self._at += 1
        named = _NAMED.get(character.lower())
        if named is not None:
            return named if character.islower() else _negated(named)
        if character.isalnum():
            raise self._error(f"\\{character}: of letters only d, w and s have a meaning behind a backslash")
        return _literal(character)

    def _class(self) -> Matcher:
        negated = self._take("^")
        # First in its class, a ] stands for itself.
        parts = [_literal("]")] if self._take("]") else []
        while not parts or not self._take("]"):
            if self._at >= len(self._text):
                raise self._error("a [ that is not closed")
            parts.append(self._class_part())
        return _negated(_any_of(parts)) if negated else _any_of(parts)

    def _class_part(self) -> Matcher:
        low = self._text[self._at]
        self._at += 1
        if low == "\\":
            return self._escape()
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("]", ""):
            high = self._text[self._at + 1]
            self._at += 2
            if high == "\\" or high < low:
                raise self._error(f"a range {low}-{high} that is not in order")
            return _range(low, high)
        return _literal(low)

    def _row(self, text: str) -> tuple[int, int]:
        start = end = self._new([])
        for character in text:
            first, last = self._one(_literal(character))
            self._states[end].out.append(first)
            end = last
        return start, end

    def _one(self, matcher: Matcher) -> tuple[int, int]:
        end = self._new([])
        return self._new([end], matcher), end

    def _new(self, out: list[int], matcher: Matcher | None = None, at: str = "") -> int:
        if len(self._states) >= STATE_LIMIT:
            raise self._error("too large: repeats inside repeats multiply")
        self._states.append(_State(out, matcher, at))
        return len(self._states) - 1

    def _take(self, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        return False

    def _error(self, what: str) -> PatternError:
        return PatternError(f"{what} (at character {self._at + 1} of the expression)")


def _literal(character: str) -> Matcher:
    folded = character.casefold()
    return lambda other: other in (character, folded)


def _range(low: str, high: str) -> Matcher:
    return lambda other: low <= other <= high or low <= other.upper() <= high


def _any_of(parts: list[Matcher]) -> Matcher:
    return lambda other: any(part(other) for part in parts)


def _negated(matcher: Matcher) -> Matcher:
    return lambda other: not matcher(other)


_NAMED: dict[str, Matcher] = {
    "d": lambda other: "0" <= other <= "9",
    "w": lambda other: other.isalnum() or other == "_",
    "s": lambda other: other.isspace(),
}
