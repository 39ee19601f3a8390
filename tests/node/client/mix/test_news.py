"""Waiting for what happens next."""

import asyncio

from node.client.mix.news import News


async def test_nothing_that_happened_is_missed():
    news = News()
    await news.after(-1)
    waiting = [asyncio.create_task(news.after(0)) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    news.tell()
    await asyncio.gather(*waiting)
    await news.after(0)
    assert news.count == 1
