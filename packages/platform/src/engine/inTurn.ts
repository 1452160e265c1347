// Two apps that answer each other without end would otherwise let no timer fire, not even a deadline.
const maxTurns = 100_000
let turns = 0

/** Calls a function in a turn of its own, before any timer fires unless there are too many such turns. */
export const inTurn = (task: () => void): void => {
  if (turns === 0) {
    setTimeout(() => {
      turns = 0
    }, 0)
  }
  if (++turns < maxTurns) queueMicrotask(task)
  else setTimeout(task, 0)
}
