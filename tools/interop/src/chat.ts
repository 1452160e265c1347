/**
 * `pnpm test:chat [--require]`: the chat of the examples, as pages in headless Chromium see it. First its server is one process, and
 * one of the pages is behind a link that breaks. Then it is two processes over Redis, one of which is killed. Leaves screenshots
 * in `artifacts`, also of a failure. Without Chromium it does nothing, and without Redis not the second part; it says so, and
 * fails with `--require`.
 */
import { Effect, Exit, Scope } from "effect"
import { mkdirSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { launch } from "./browser.js"
import { makeLink } from "./Link.js"
import { runMain } from "./main.js"
import { start, type Process } from "./Process.js"
import { debianPackages, find } from "./programs.js"
import { freePort } from "./proxies.js"

const { values } = parseArgs({ options: { require: { type: "boolean", default: false } } })

const root = fileURLToPath(new URL("../../../", import.meta.url))
const patience = 30_000

interface Server {
  readonly process: Process
  readonly port: number
}

const startServer = (port: number, ...options: ReadonlyArray<string>): Effect.Effect<Server, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const flags = ["--conditions=@effect-websocket/source", "--import", "tsx"]
    const args = [...flags, "examples/src/chat/main.ts", "--port", String(port), ...options]
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

/** A page that loses its connection meanwhile keeps the text. */
const say = async (page: Page, text: string) => {
  do {
    await page.locator("#send:enabled").waitFor()
    await page.fill("#text", text)
    await page.press("#text", "Enter")
  } while ((await page.inputValue("#text")) !== "")
}

/** Everything that is said in the log of a page, oldest first. */
const messages = (page: Page) => page.locator(".message .bubble > p:last-child").allTextContents()

type Open = (
  name: string,
  port: number,
  look: Pick<BrowserContextOptions, "colorScheme" | "viewport">
) => Effect.Effect<Page, Error, Scope.Scope>

const desktop = { colorScheme: "light", viewport: { width: 960, height: 640 } } as const
const mobile = { colorScheme: "dark", viewport: { width: 390, height: 720 } } as const

const shoot = (page: Page, name: string) => page.screenshot({ path: `${root}artifacts/chat-${name}.png` })

/** Opens pages, and collects what the browser complains about. */
const opener =
  (browser: Browser, complaints: Array<string>): Open =>
  (name, port, look) =>
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

const markup = `<img src=x onerror="alert(1)">`

/** One process, whose rooms are in its memory. */
const oneProcess = (open: Open) =>
  Effect.gen(function* () {
    const first = yield* startServer(0)
    const link = yield* makeLink(first.port)
    const ada = yield* open("ada", first.port, desktop)
    const bob = yield* open("bob", link.port, mobile)

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
      await say(ada, "Where is Bob?")
      await shoot(bob, "reconnecting")
      const width = await bob.evaluate<unknown>("document.documentElement.scrollWidth")
      if (width !== 390) throw new Error(`The page is ${String(width)} pixels wide`)
      link.restore()
      await see(bob, "#status", "Connected")
      await see(bob, "#log", "Connected again")
      await see(ada, "#members li", "Bob")
      await say(ada, "There you are")
      await see(bob, ".message", "There you are")
    })
    yield* step("nothing that was said meanwhile is missing", async () => {
      await see(bob, ".notice", "Connected again. Nothing is missing")
      const [theirs, own] = [await messages(ada), await messages(bob)]
      if (String(theirs) !== String(own)) throw new Error(`${String(own)} in place of ${String(theirs)}`)
    })
    yield* step("a page that is loaded anew is where it was, with its history", async () => {
      await bob.reload()
      await see(bob, "#members li", "Bob (you)")
      await see(bob, ".message:not(.own)", "Is anybody else up for tea?")
      await see(bob, ".message.own", "Always. Where, at the café?")
    })
    yield* step("a connection that is silent is replaced, and nobody else notices", async () => {
      const departures = await ada.locator(".notice", { hasText: "Bob left" }).count()
      link.silence()
      await see(bob, "#log", /Connection lost.*Connected again/)
      await say(bob, "Sorry, the tunnel")
      await see(ada, ".message", "Sorry, the tunnel")
      await count(ada, ".notice", "Bob left", departures)
      await see(bob, "#detail", /^\d+ ms$/)
      await shoot(bob, "mobile")
    })
    yield* stopServer(first)
    yield* step("a server that goes away", async () => {
      await see(ada, "#status", "Reconnecting")
      await see(bob, "#status", "Reconnecting")
    })
    const second = yield* startServer(first.port)
    yield* step("a server that is back, and has forgotten what was said", async () => {
      await see(ada, "#members li", "Bob")
      await see(ada, ".notice.gap", "Messages are missing here")
      await see(bob, "#members li", "Ada")
      await say(bob, "Who restarted it?")
      await see(ada, ".message", "Who restarted it?")
    })
    yield* step("who closes the page leaves", async () => {
      await bob.close()
      await see(ada, ".notice", /^Bob left$/)
      await ada.locator("#members li", { hasText: "Bob" }).waitFor({ state: "detached" })
    })
    yield* step("who leaves is at the way in again", async () => {
      await ada.click("#leave")
      await ada.reload()
      await ada.locator("#entrance").waitFor()
    })
    yield* stopServer(second)
  })

const startRedis = (program: string, port: number) =>
  Effect.gen(function* () {
    const options = ["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no"]
    const redis = yield* start(program, options)
    for (
      let line = yield* redis.nextLine;
      !line?.includes("eady to accept connections");
      line = yield* redis.nextLine
    ) {
      if (line === undefined) return yield* Effect.fail(new Error(`Redis does not start: ${redis.printed()}`))
    }
  })

/** Two processes, which are one chat over Redis. Ada is with the first one for as long as it lives, and Bob with the second one. */
const twoProcesses = (open: Open, redisServer: string) =>
  Effect.gen(function* () {
    const redisPort = yield* freePort
    const redisScope = yield* Scope.make()
    yield* Effect.addFinalizer((exit) => Scope.close(redisScope, exit))
    yield* Scope.extend(startRedis(redisServer, redisPort), redisScope)
    const redis = ["--redis", `redis://127.0.0.1:${redisPort}`]
    const first = yield* startServer(0, ...redis)
    const second = yield* startServer(0, ...redis)
    const adasLink = yield* makeLink(first.port, second.port)
    const bobsLink = yield* makeLink(second.port, first.port)
    const ada = yield* open("ada", adasLink.port, desktop)
    const bob = yield* open("bob", bobsLink.port, mobile)
    const cem = yield* open("cem", first.port, mobile)
    const said: Array<string> = []
    const talk = async (page: Page, texts: ReadonlyArray<string>) => {
      for (const text of texts) {
        await say(page, text)
        said.push(text)
        await see(page, ".message.own", text)
      }
    }
    const agree = async (...pages: ReadonlyArray<Page>) => {
      for (const page of pages) for (const text of said) await see(page, ".message", text)
      const logs = await Promise.all(pages.map(messages))
      for (const log of logs) {
        if (String(log) !== String(logs[0])) throw new Error(logs.map(String).join("\n"))
        if (log.length !== said.length) throw new Error(`${log.length} messages in place of ${said.length}`)
      }
    }

    yield* step("people of two processes see each other", async () => {
      for (const [page, name] of [
        [ada, "Ada"],
        [bob, "Bob"],
        [cem, "Cem"]
      ] as const) {
        await enter(page, name)
        await see(page, "#members li", `${name} (you)`)
      }
      for (const page of [ada, bob, cem]) await page.locator("#members li").nth(2).waitFor()
    })
    yield* step("and talk to each other", async () => {
      await talk(ada, ["Hello from the first process"])
      await talk(bob, ["Hello from the second one"])
      await bob.locator("#text").pressSequentially("And")
      await see(ada, "#typing", "Bob is typing")
      await bob.fill("#text", "")
      await agree(ada, bob, cem)
    })
    yield* step("one process is killed while people talk, and nobody misses anything", async () => {
      const talking = Promise.all([
        talk(
          ada,
          ["1", "2", "3", "4", "5", "6", "7", "8"].map((n) => `Ada counts ${n}`)
        ),
        talk(
          bob,
          ["1", "2", "3", "4", "5", "6", "7", "8"].map((n) => `Bob counts ${n}`)
        )
      ])
      await see(bob, ".message", "Ada counts 3")
      first.process.child.kill("SIGKILL")
      await talking
      await see(ada, ".notice", "Connected again. Nothing is missing")
      await agree(ada, bob)
      await count(ada, ".notice.gap", "", 0)
      await count(bob, ".notice", "Ada left", 0)
      await shoot(ada, "processes")
    })
    yield* step("who was only with that process has left", async () => {
      await see(bob, ".notice", /^Cem left$/)
      await see(ada, ".notice", /^Cem left$/)
      for (const page of [ada, bob]) {
        await page.locator("#members li").nth(1).waitFor()
        await count(page, "#members li", "", 2)
      }
    })
    yield* step("a page that is loaded anew has the history", async () => {
      await ada.reload()
      await see(ada, "#members li", "Ada (you)")
      await agree(ada, bob)
    })
    yield* Scope.close(redisScope, Exit.void)
    yield* startRedis(redisServer, redisPort)
    yield* step("a Redis that has lost everything is a gap, and then people go on", async () => {
      for (const page of [ada, bob]) await see(page, ".notice.gap", "Messages are missing here")
      await talk(bob, ["What were we talking about?"])
      await agree(ada, bob)
      await shoot(bob, "gap")
    })
    yield* stopServer(second)
  })

const main = (executablePath: string, redisServer: string | undefined) =>
  Effect.gen(function* () {
    mkdirSync(`${root}artifacts`, { recursive: true })
    const browser = yield* launch(executablePath)
    console.log(`Chromium ${browser.version()}`)
    const complaints: Array<string> = []
    const open = opener(browser, complaints)
    console.log("\nOne process")
    yield* Effect.scoped(oneProcess(open))
    if (redisServer === undefined) {
      missing("two processes", ["redis-server"])
    } else {
      console.log("\nTwo processes")
      yield* Effect.scoped(twoProcesses(open, redisServer))
    }
    yield* step("nothing that the browser complains about", async () => {
      if (complaints.length > 0) throw new Error(complaints.join("\n"))
    })
  })

const missing = (what: string, programs: ReadonlyArray<string>) => {
  console.log(`MISSING: ${what}, for lack of ${programs.join(" or ")}`)
  if (values.require) process.exitCode = 1
}

const executable = find(debianPackages.chromium)
if (executable === undefined) {
  missing("the chat in a browser", debianPackages.chromium)
} else {
  const run = main(executable, find(["redis-server"]))
  await runMain(Effect.scoped(Effect.timeout(run, "5 minutes")))
}
