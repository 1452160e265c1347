import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as cookieFile from "../src/cookieFile.js"

const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-websocket-cookies-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const lines = [
  "# Netscape HTTP Cookie File",
  ".example.com\tTRUE\t/\tTRUE\t4102444800\twide\t1",
  "#HttpOnly_www.example.com\tFALSE\t/chat\tFALSE\t0\tnarrow\ta=b",
  "www.example.com\tFALSE\t/\tFALSE\t1\told\tgone",
  "no cookie"
]

describe("cookieFile", () => {
  it.live("reads cookies for their hosts, paths and schemes, and writes them", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      const path = join(folder, "cookies.txt")
      writeFileSync(path, lines.join("\r\n"))
      const { save, service } = yield* cookieFile.make(path)
      const cookies = (url: string) => service.cookieHeader(new URL(url))
      assert.strictEqual(yield* cookies("https://www.example.com/chat/1"), "narrow=a=b; wide=1")
      assert.strictEqual(yield* cookies("http://www.example.com/chat"), "narrow=a=b")
      assert.strictEqual(yield* cookies("https://other.example.com/"), "wide=1")
      yield* service.setCookies(new URL("https://www.example.com/"), [
        "new=2; Max-Age=100; Secure",
        "bad=1; Domain=com"
      ])
      yield* save
      const [header, ...written] = readFileSync(path, "utf8").trimEnd().split("\n")
      assert.strictEqual(header, lines[0])
      assert.deepStrictEqual(
        written.map((line) => line.replace(/\t\d{10}\t/, "\tlater\t")).sort(),
        [
          "#HttpOnly_www.example.com\tFALSE\t/chat\tFALSE\t0\tnarrow\ta=b",
          ".example.com\tTRUE\t/\tTRUE\tlater\twide\t1",
          "www.example.com\tFALSE\t/\tTRUE\tlater\tnew\t2"
        ].sort()
      )
      assert.deepStrictEqual(readdirSync(folder), ["cookies.txt"])
    })
  )

  it.live("fails at once if the file cannot be read or written, and leaves nothing", () =>
    Effect.gen(function* () {
      const folder = yield* temporary
      assert.strictEqual((yield* Effect.flip(cookieFile.make(folder))).exitCode, 2)
      const { exitCode, message } = yield* Effect.flip(cookieFile.make(join(folder, "no/such/folder")))
      assert.strictEqual(exitCode, 2)
      assert.match(message, /^The cookie jar .*no\/such\/folder cannot be used: ENOENT/)
      const gone = join(folder, "gone")
      mkdirSync(gone)
      const { save } = yield* cookieFile.make(join(gone, "cookies.txt"))
      assert.deepStrictEqual(readdirSync(gone), [])
      rmSync(gone, { recursive: true })
      assert.strictEqual((yield* Effect.flip(save)).exitCode, 2)
    })
  )
})
