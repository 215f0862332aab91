"""Keep what no function took, so that its cause can be mended and it can be sent again (`chandlery events`)."""

from shared.letters import DeadLetters, Letter, keeping


async def keep_dead_letters(letter: Letter, letters: DeadLetters) -> None:
    await letters.keep(letter)


main = keeping(keep_dead_letters, DeadLetters)
