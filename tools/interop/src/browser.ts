/** A headless Chromium by Playwright. */
import { Effect, type Scope } from "effect"
import { chromium, type Browser } from "playwright-core"

/** Lives as long as the scope, which also ends it at Ctrl+C. Playwright would end this process. */
export const launch = (executablePath: string): Effect.Effect<Browser, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () =>
        chromium.launch({
          executablePath,
          chromiumSandbox: false,
          args: ["--disable-dev-shm-usage"],
          handleSIGINT: false,
          handleSIGTERM: false,
          handleSIGHUP: false
        }),
      catch: (error) => (error instanceof Error ? error : new Error(String(error)))
    }),
    (browser) => Effect.promise(() => browser.close())
  )
