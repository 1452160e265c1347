/** What a call that has a deadline ends with. Only the first call of either counts. */
export interface Outcome<A> {
  readonly succeed: (value: A) => void
  readonly fail: (cause: unknown) => void
}

/** Waits for an outcome, at most `timeout` milliseconds. Then it fails with what `onLate` returns. */
export const withDeadline = <A>(
  timeout: number,
  begin: (outcome: Outcome<A>) => void,
  onLate: () => unknown = () => noAnswer(timeout)
): Promise<A> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(onLate()), timeout)
    begin({
      succeed: (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      fail: (cause) => {
        clearTimeout(timer)
        reject(cause)
      }
    })
  })

/** The server has not replied within `timeout` milliseconds. */
export const noAnswer = (timeout: number): Error => new Error(`Redis did not answer within ${timeout} ms`)
