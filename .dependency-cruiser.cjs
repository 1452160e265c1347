// The import rules of docs/architecture.md. Run by `pnpm check:imports`.
const src = "^packages/platform/src/"

// What a place in packages/platform/src must not import, types included. A file imports only from places above it.
const platformOrder = [
  // The modules that have a twin for Effect 4.
  ["internal/install-effect@3-or-platform@4/[^/]+", ""],
  ["internal/(effect|http|httpServer|webSocketConstructor)", "(?!internal/install-)"],
  ["(Options|Transport|UpgradeCheck|Zlib)", "(internal/(?!(effect|http)\\.ts)|WebSocket|Reconnecting|Mock|node)"],
  [
    "engine/(time/|(?!Settings))[^/]+",
    "(engine/(connection|client|server|testing)|internal|WebSocket|Reconnecting|Mock|node)"
  ],
  ["engine/connection/[^/]+", "(engine/(client|server|testing)|internal|WebSocket|Reconnecting|Mock|node)"],
  ["engine/(client|server)/[^/]+", "(engine/testing|internal|WebSocket|Reconnecting|Mock|node)"],
  ["engine/client/[^/]+", "engine/(server|native)"],
  ["engine/(connection|server|time)/[^/]+", "engine/native"],
  ["engine/native/[^/]+", "(engine/(server|testing)|internal|WebSocket|Reconnecting|Mock|node|native/)"],
  ["engine/server/[^/]+", "engine/client"],
  ["engine/testing/[^/]+", "(internal|WebSocket|Reconnecting|Mock|node)"],
  ["internal/(?!makeReconnecting)[^/]+", "(WebSocket(Client|Server|Upgrade|Channel|Test)|Reconnecting|Mock|node)"],
  ["WebSocket", "(WebSocket(Client|Server|Upgrade|Channel|Test)|Reconnecting|Mock|node)"],
  // It connects with the service of WebSocketClient.
  ["internal/makeReconnecting", "(WebSocket(Server|Upgrade|Channel|Test)|ReconnectingWebSocket|Mock|node)"],
  ["WebSocket(Client|Server)", "(WebSocket(Test|Upgrade|Channel)|StandardWebSocket|Mock|node)"],
  ["StandardWebSocket", "(WebSocket(Server|Test|Upgrade|Channel)|Reconnecting|Mock|node)"],
  ["(WebSocketUpgrade|WebSocketChannel)", "(WebSocketTest|WebSocketUpgradeTest|Mock|node)"],
  ["EffectSocket", "(WebSocket(Test|Upgrade|Channel)|Mock|node|rpc/|cluster/)"],
  ["rpc/[^/]+", "(WebSocketTest|Mock|node|cluster/)"],
  ["cluster/[^/]+", "(WebSocketTest|Mock|node)"],
  ["MockTransport", "(MockPeer|WebSocketTest|node)"],
  ["MockPeer", "(WebSocketTest|node)"],
  ["WebSocketTest", "node"],
  ["WebSocketUpgradeTest", "(MockPeer|WebSocketTest|node)"]
]

// The folders of runtimes, and what those over a WebSocket of the runtime's own share.
const runtimes = "node|browser|bun|deno|workers"

module.exports = {
  forbidden: [
    {
      name: "runtimes-apart",
      comment: "no runtime imports another one",
      severity: "error",
      from: { path: `${src}(${runtimes})/` },
      to: { path: `${src}(?:${runtimes})/`, pathNot: `${src}$1/` }
    },
    {
      name: "nothing-else-knows-a-runtime",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: `${src}(${runtimes}|native)/` },
      to: { path: `${src}(${runtimes}|native)/` }
    },
    {
      name: "native-knows-no-runtime",
      severity: "error",
      from: { path: `${src}(native|engine/native)/` },
      to: { path: `${src}(${runtimes})/` }
    },
    {
      name: "no-circular",
      comment: "imports of types count, too",
      severity: "error",
      from: {},
      to: { circular: true }
    },
    { name: "resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "protocol-is-pure",
      comment: "protocol imports effect/Data and @noble/hashes only, besides its own files",
      severity: "error",
      from: { path: "^packages/protocol/src" },
      to: {
        pathNot: [
          "^packages/protocol/src",
          "effect/dist/esm/Data\\.js$",
          "@noble/hashes/legacy\\.js$",
          "^(node:)?(buffer|crypto|http|process|v8)$"
        ]
      }
    },
    {
      name: "protocol-node-in-node-files-only",
      comment: "internal/*.node.ts are the only files of protocol that may import node:*",
      severity: "error",
      from: { path: "^packages/protocol/src", pathNot: "internal/[A-Za-z0-9]+\\.node\\.ts$" },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "node-in-node-folder-only",
      comment: "only platform/src/node imports node:*",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: "^packages/platform/src/node" },
      to: { dependencyTypes: ["core"] }
    },
    {
      name: "platform-node-in-one-file-only",
      comment: "@effect/platform-node is an optional peer",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: "node/NodeWebSocketUpgrade\\.ts$" },
      to: { path: "@effect/platform-node/" }
    },
    {
      name: "optional-peer-is-loaded-on-demand",
      comment: "an app without @effect/platform-node imports the index of /node, too",
      severity: "error",
      from: { path: "^packages/platform/src" },
      to: { path: "@effect/platform-node/", dynamic: false, dependencyTypesNot: ["type-only"] }
    },
    {
      name: "rpc-in-one-file-only",
      comment: "@effect/rpc is an optional peer",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: "internal/rpc\\.ts$" },
      to: { path: "@effect/rpc/" }
    },
    {
      name: "nothing-else-needs-rpc",
      severity: "error",
      from: {
        path: "^packages/platform/src",
        pathNot: "^packages/platform/src/(rpc/|cluster/|internal/cluster\\.ts$)"
      },
      to: { path: "packages/platform/src/(rpc/|internal/rpc\\.ts$)" }
    },
    {
      name: "cluster-in-one-file-only",
      comment: "@effect/cluster is an optional peer",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: "internal/cluster\\.ts$" },
      to: { path: "@effect/cluster/" }
    },
    {
      name: "nothing-else-needs-cluster",
      severity: "error",
      from: { path: "^packages/platform/src", pathNot: "^packages/platform/src/cluster/" },
      to: { path: "packages/platform/src/(cluster/|internal/cluster\\.ts$)" }
    },
    {
      name: "topics-brokers-use-public-exports",
      comment: "packages/topics-* are for both versions of Effect, and need no Effect but in the module of the layer",
      severity: "error",
      from: { path: "^packages/topics-[a-z]+/src" },
      to: { path: "^packages/(protocol|platform)/src/", pathNot: "src/(TopicBroker|Message)\\.ts$" }
    },
    {
      name: "topics-brokers-without-effect",
      comment: "what runs on Redis or NATS is plain TypeScript",
      severity: "error",
      from: { path: "^packages/topics-[a-z]+/src/internal/(?!settings)" },
      to: { path: "node_modules/(effect|@effect)/" }
    },
    {
      name: "redis-client-in-one-file-only",
      severity: "error",
      from: { path: "^packages/topics-redis/src", pathNot: "internal/RedisLink\\.ts$" },
      to: { path: "@redis/client/", dependencyTypesNot: ["type-only"] }
    },
    {
      name: "nats-client-inside-only",
      severity: "error",
      from: { path: "^packages/topics-nats/src", pathNot: "/internal/" },
      to: { path: "@nats-io/", dependencyTypesNot: ["type-only"] }
    },
    {
      name: "tools-use-public-exports",
      comment: "tools import what is published; only the tests of tools/conformance look inside",
      severity: "error",
      from: { path: "^tools/", pathNot: "^tools/conformance/test/" },
      to: {
        path: "^packages/",
        pathNot:
          "^packages/(protocol|platform|topics-redis|topics-nats)/src/([A-Z][A-Za-z]+|index|(node|browser|bun|deno|workers|rpc|cluster)/([A-Z][A-Za-z]+|index))\\.ts$"
      }
    },
    {
      name: "tools-import-packages-by-name",
      severity: "error",
      from: { path: "^tools/", pathNot: "^tools/conformance/test/" },
      to: { path: "^packages/", dependencyTypes: ["local"] }
    },
    {
      name: "tools-apart",
      comment: "no tool imports another one, and no package a tool",
      severity: "error",
      from: { path: "^(?:tools|packages)/([^/]+)/" },
      to: { path: "^tools/", pathNot: "^tools/$1/" }
    },
    {
      name: "packages-import-runtime-dependencies-only",
      comment: "packages/cli is published as a bundle without dependencies",
      severity: "error",
      from: { path: "^packages/[^/]+/src", pathNot: "^packages/cli/" },
      to: {
        dependencyTypes: ["npm-no-pkg", "npm-unknown", "npm-dev"],
        pathNot: [
          "effect/dist",
          "@effect/(platform(-node)?|rpc|cluster)/dist",
          "@redis/client/dist",
          "@nats-io/(transport-node|jetstream)/",
          "^packages/(protocol|platform)/"
        ]
      }
    },
    {
      name: "engine-without-effect",
      comment: "the engine needs neither Effect nor a runtime: clock, randomness, zlib and logging are handed in",
      severity: "error",
      from: { path: `${src}engine` },
      to: { path: "node_modules/(effect|@effect)/" }
    },
    ...platformOrder.map(([file, above]) => ({
      name: `order-of-${file}`,
      comment: "a file imports only from files above it in docs/architecture.md",
      severity: "error",
      from: { path: `${src}${file}\\.ts$` },
      to: { path: `${src}${above}` }
    }))
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^packages/[^/]+/dist/|^packages/platform-effect4/|vitest\\.config" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["@effect-websocket/source", "import", "node", "default"]
    }
  }
}
