"""The plan: never more than there is, nobody overtaken on a reserved card, everybody served in the
end.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from studio.gpu.placement import Request, Share, plan, readiness

CARDS = {"a": Share(24, 2), "b": Share(16, 1), "c": Share(8, 0)}


def request(
    ticket: str, mib: int, nvenc: int = 0, cards: dict[str, Share] | None = None
) -> Request:
    return Request(ticket, Share(mib, nvenc), CARDS if cards is None else cards)


NEEDS = st.tuples(st.integers(1, 24), st.integers(0, 2))


@given(st.lists(st.tuples(st.sampled_from(sorted(CARDS)), NEEDS), max_size=6), st.lists(NEEDS))
def test_no_card_is_ever_overlent(
    wished: list[tuple[str, tuple[int, int]]], needs: list[tuple[int, int]]
) -> None:
    free, held = dict(CARDS), []
    for card, (mib, nvenc) in wished:
        if free[card].holds(Share(mib, nvenc)):
            free[card] = free[card].minus(Share(mib, nvenc))
            held.append((card, Share(mib, nvenc)))
    waiting = [request(str(number), *need) for number, need in enumerate(needs)]
    for ticket, card in plan(held, waiting).items():
        free[card] = free[card].minus(waiting[int(ticket)].need)
        assert free[card].mib >= 0
        assert free[card].nvenc >= 0


@given(
    st.lists(st.tuples(st.integers(1, 24), st.integers(0, 1)), min_size=1, max_size=12), st.data()
)
def test_everybody_is_served_though_small_requests_keep_coming(
    needs: list[tuple[int, int]], data: st.DataObject
) -> None:
    cards = {"a": Share(24, 1), "b": Share(24, 1)}
    waiting = [request(f"first{n}", mib, nvenc, cards) for n, (mib, nvenc) in enumerate(needs)]
    held: dict[str, tuple[str, Share]] = {}
    for step in range(400):
        if not any(item.ticket.startswith("first") for item in waiting):
            return
        waiting.append(request(f"late{step}", data.draw(st.integers(1, 4)), 0, cards))
        granted = plan(held.values(), waiting)
        for item in [item for item in waiting if item.ticket in granted]:
            held[item.ticket] = (granted[item.ticket], item.need)
            waiting.remove(item)
        # leases end oldest first: the least kind order for a request that waits for two at once
        for ticket in list(held)[: data.draw(st.integers(1, 3))]:
            del held[ticket]
    raise AssertionError("somebody starved")


def test_the_oldest_request_that_fits_is_served_and_the_rest_wait_behind_it() -> None:
    only = {"a": Share(24, 2)}
    held = [("a", Share(20, 0))]
    waiting = [request("big", 24, cards=only), request("small", 1, cards=only)]
    assert plan(held, waiting) == {}
    assert plan([], waiting) == {"big": "a"}


def test_a_reserved_card_is_left_alone_and_the_others_are_not() -> None:
    held = [("a", Share(20, 0)), ("b", Share(15, 0))]
    waiting = [request("big", 20), request("small", 1)]
    assert plan(held, waiting) == {"small": "c"}


def test_encoder_sessions_count_by_themselves() -> None:
    held = [("a", Share(1, 2)), ("b", Share(1, 1))]
    assert plan(held, [request("encode", 1, 1)]) == {}
    assert plan(held[1:], [request("encode", 1, 1)]) == {"encode": "a"}


def test_readiness_is_the_scarcer_of_the_two() -> None:
    assert readiness(Share(6, 1), Share(12, 1)) == 0.5
    assert readiness(Share(24, 0), Share(12, 1)) == 0
    assert readiness(Share(-3, 1), Share(12, 0)) == 0
