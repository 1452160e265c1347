/**
 * `pnpm test:chat [--require]`: the chat of the examples, as two pages in headless Chromium see it: its server is a process,
 * and one of the pages is behind a link that breaks. Leaves screenshots in `artifacts`, also of a failure. Without Chromium it does nothing,
 * and fails with `--require`.
 */
import { Effect, Exit, Cause, type Scope } from "effect"
import { mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { chromium, type BrowserContextOptions, type Page } from "playwright-core"
import { makeLink } from "./Link.js"
import { start, type Process } from "./Process.js"
import { debianPackages, find } from "./programs.js"

const { values } = parseArgs({ options: { require: { type: "boolean", default: false } } })

const root = fileURLToPath(new URL("../../../", import.meta.url))
const patience = 30_000

interface Server {
  readonly process: Process
  readonly port: number
}

const startServer = (port: number): Effect.Effect<Server, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const flags = ["--conditions=@effect-websocket/source", "--import", "tsx"]
    const args = [...flags, "examples/src/chat/main.ts", "--port", String(port)]
    const process_ = yield* start(process.execPath, args, root)
    for (;;) {
      const line = yield* process_.nextLine
      if (line === undefined) return yield* Effect.fail(new Error(`The server ended: ${process_.printed()}`))
      const listening = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)
      if (listening !== null) return { process: process_, port: Number(listening[1]) }
    }
  })

/** As whoever stops a server does. It must end by itself, and well. */
const stopServer = ({ process }: Server): Effect.Effect<void, Error> =>
  Effect.gen(function* () {
    process.child.kill("SIGTERM")
    while ((yield* process.nextLine) !== undefined);
    const { exitCode } = process.child
    if (exitCode !== 0) yield* Effect.fail(new Error(`The server ended with ${exitCode}: ${process.printed()}`))
  }).pipe(Effect.timeoutFail({ duration: patience, onTimeout: () => new Error("The server does not end") }))

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, Error> =>
  Effect.tryPromise({ try: run, catch: (error) => (error instanceof Error ? error : new Error(String(error))) })

const step = (name: string, run: () => Promise<unknown>): Effect.Effect<void, Error> =>
  Effect.tapBoth(Effect.asVoid(attempt(run)), {
    onSuccess: () => Effect.sync(() => console.log(`ok    ${name}`)),
    onFailure: () => Effect.sync(() => console.log(`FAIL  ${name}`))
  })

const see = (page: Page, selector: string, text: string | RegExp) =>
  page.locator(selector, { hasText: text }).last().waitFor()

const count = async (page: Page, selector: string, text: string | RegExp, expected: number) => {
  const seen = await page.locator(selector, { hasText: text }).count()
  if (seen !== expected) throw new Error(`${String(text)} is there ${seen} times in place of ${expected}`)
}

const enter = async (page: Page, name: string) => {
  await page.fill("#name", name)
  await page.fill("#room", "tea")
  await page.click("#join button")
}

const say = async (page: Page, text: string) => {
  await page.locator("#send:enabled").waitFor()
  await page.fill("#text", text)
  await page.press("#text", "Enter")
}

const markup = `<img src=x onerror="alert(1)">`

const scenario = (executablePath: string) =>
  Effect.gen(function* () {
    mkdirSync(`${root}artifacts`, { recursive: true })
    const first = yield* startServer(0)
    const link = yield* makeLink(first.port)
    const browser = yield* Effect.acquireRelease(
      attempt(() => chromium.launch({ executablePath, chromiumSandbox: false, args: ["--disable-dev-shm-usage"] })),
      (browser) => Effect.promise(() => browser.close())
    )
    console.log(`Chromium ${browser.version()}`)

    const complaints: Array<string> = []
    const shoot = (page: Page, name: string) => page.screenshot({ path: `${root}artifacts/chat-${name}.png` })
    const open = (name: string, port: number, look: Pick<BrowserContextOptions, "colorScheme" | "viewport">) =>
      Effect.acquireRelease(
        attempt(async () => {
          const page = await browser.newPage({ ...look, reducedMotion: "reduce" })
          page.setDefaultTimeout(patience)
          page.on("pageerror", (error) => complaints.push(error.message))
          page.on("console", (message) => {
            // A connection that is refused is told by the browser itself.
            const told = message.type() === "error" && !message.text().startsWith("WebSocket connection")
            if (told) complaints.push(message.text())
          })
          await page.goto(`http://127.0.0.1:${port}/`)
          return page
        }),
        (page, exit) =>
          Exit.isFailure(exit) && !page.isClosed()
            ? Effect.ignore(attempt(() => shoot(page, `failed-${name}`)))
            : Effect.void
      )
    const ada = yield* open("ada", first.port, { colorScheme: "light", viewport: { width: 960, height: 640 } })
    const bob = yield* open("bob", link.port, { colorScheme: "dark", viewport: { width: 390, height: 720 } })

    yield* step("the way in", () => shoot(ada, "entrance"))
    yield* step("a name is taken by one only", async () => {
      await enter(ada, "Ada")
      await see(ada, "#members li", "Ada (you)")
      await enter(bob, "Ada")
      await see(bob, "#refusal", "this name is taken")
      await enter(bob, "Bob")
      await see(bob, "#members li", "Bob (you)")
    })
    yield* step("each sees the other", async () => {
      await see(ada, "#log", "Bob entered")
      await see(ada, "#members li", "Bob")
      await see(bob, "#members li", "Ada")
    })
    yield* step("messages, in both directions", async () => {
      await say(ada, "Is anybody else up for tea?")
      await see(bob, ".message:not(.own)", "Is anybody else up for tea?")
      await say(bob, "Always. Where, at the café?")
      await see(ada, ".message:not(.own)", "Always. Where, at the café?")
      await see(bob, ".message.own", "Always. Where, at the café?")
    })
    yield* step("markup is text", async () => {
      await say(ada, markup)
      await see(bob, ".message", markup)
      await count(bob, "#log img", "", 0)
    })
    yield* step("the latency", async () => {
      await see(ada, "#detail", /^\d+ ms$/)
      await see(bob, "#detail", /^\d+ ms$/)
    })
    yield* step("who types, and who has stopped", async () => {
      await bob.locator("#text").pressSequentially("With mi")
      await see(ada, "#typing", "Bob is typing")
      await shoot(ada, "desktop")
      await bob.locator("#text").pressSequentially("lk?", { delay: 100 })
      await ada.locator("#typing:empty").waitFor({ state: "attached" })
      await bob.fill("#text", "")
    })
    yield* step("a connection that is lost, and found again", async () => {
      link.cut()
      await see(bob, "#status", "Reconnecting")
      await see(ada, "#log", "Bob left")
      await shoot(bob, "reconnecting")
      const width = await bob.evaluate<unknown>("document.documentElement.scrollWidth")
      if (width !== 390) throw new Error(`The page is ${String(width)} pixels wide`)
      link.restore()
      await see(bob, "#status", "Connected")
      await see(bob, "#log", "Connected again")
      await count(ada, ".notice", "Bob entered", 2)
      await say(ada, "There you are")
      await see(bob, ".message", "There you are")
    })
    yield* step("a connection that is silent is replaced, and nobody else notices", async () => {
      link.silence()
      await see(bob, "#log", /Connection lost.*Connected again.*Connection lost.*Connected again/)
      await say(bob, "Sorry, the tunnel")
      await see(ada, ".message", "Sorry, the tunnel")
      await count(ada, ".notice", "Bob left", 1)
      await see(bob, "#detail", /^\d+ ms$/)
      await shoot(bob, "mobile")
    })
    yield* stopServer(first)
    yield* step("a server that goes away", async () => {
      await see(ada, "#status", "Reconnecting")
      await see(bob, "#status", "Reconnecting")
    })
    const second = yield* startServer(first.port)
    yield* step("a server that is back", async () => {
      await see(ada, "#members li", "Bob")
      await see(bob, "#members li", "Ada")
      await say(bob, "Who restarted it?")
      await see(ada, ".message", "Who restarted it?")
    })
    yield* step("who closes the page leaves", async () => {
      await bob.close()
      await see(ada, ".notice", /^Bob left$/)
      await ada.locator("#members li", { hasText: "Bob" }).waitFor({ state: "detached" })
    })
    yield* step("nothing that the browser complains about", async () => {
      if (complaints.length > 0) throw new Error(complaints.join("\n"))
    })
    yield* stopServer(second)
  })

const executable = find(debianPackages.chromium)
if (executable === undefined) {
  console.log(`MISSING: the chat in a browser, for lack of ${debianPackages.chromium.join(" or ")}`)
  process.exitCode = values.require ? 1 : 0
} else {
  const exit = await Effect.runPromiseExit(Effect.scoped(Effect.timeout(scenario(executable), "5 minutes")))
  if (Exit.isFailure(exit)) {
    console.error(`FAILED: ${Cause.pretty(exit.cause)}`)
    process.exitCode = 1
  }
}
