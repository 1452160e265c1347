/**
 * An error that a function of the app threw, as a value. It is a bug of the app, and must end only the operation that
 * called the function.
 */
export class Defect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** Calls a function that may throw. Returns its result, or a `Defect` if it throws. */
export const attempted = <A>(call: () => A): A | Defect => {
  try {
    return call()
  } catch (cause) {
    return new Defect(cause)
  }
}
