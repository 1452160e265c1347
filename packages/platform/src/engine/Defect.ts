/** What a function of the app threw, as a value. It is a bug of the app, and must end no more than what it was called for. */
export class Defect {
  readonly cause: unknown

  constructor(cause: unknown) {
    this.cause = cause
  }
}

/** The result of a function that may throw. */
export const attempted = <A>(call: () => A): A | Defect => {
  try {
    return call()
  } catch (cause) {
    return new Defect(cause)
  }
}
