import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { bridgeScript, startBridge } from "../src/bridge.js";

const CMS = "https://cms.example.com";

/** A page in a frame, as far as the bridge looks at it. */
function frame({ framed = true, storage = true } = {}) {
  const listeners = new Map<string, ((event: never) => void)[]>();
  const stored = new Map<string, string>();
  const parent = { postMessage: vi.fn() };
  const refuse = () => {
    throw new DOMException("blocked", "SecurityError");
  };
  const page = {
    scrollY: 420,
    scrollTo: vi.fn(),
    reload: vi.fn(),
    parent,
    addEventListener: (type: string, listener: (event: never) => void) =>
      listeners.set(type, [...(listeners.get(type) ?? []), listener]),
    removeEventListener: (type: string) => listeners.delete(type),
  };
  const window = framed ? page : Object.assign(page, { parent: page });
  vi.stubGlobal("window", window);
  vi.stubGlobal("document", { readyState: "loading" });
  vi.stubGlobal("location", { pathname: "/blog/x", reload: page.reload });
  vi.stubGlobal("sessionStorage", {
    getItem: storage ? (key: string) => stored.get(key) ?? null : refuse,
    setItem: storage ? (key: string, value: string) => stored.set(key, value) : refuse,
    removeItem: storage ? (key: string) => stored.delete(key) : refuse,
  });
  const fire = (type: string, event: unknown = {}) => listeners.get(type)?.forEach((each) => each(event as never));
  return { page, parent, stored, listeners, fire };
}

afterEach(() => vi.unstubAllGlobals());

describe.each([
  ["startBridge", () => void startBridge({ cmsOrigin: CMS })],
  ["bridgeScript", () => void new Function(bridgeScript(CMS))()],
])("%s", (_, start) => {
  let browser: ReturnType<typeof frame>;
  const refresh = () => ({ origin: CMS, source: browser.parent, data: { type: "quillkeep:refresh" } });
  beforeEach(() => {
    browser = frame();
    start();
    browser.fire("load");
  });

  test("says it is ready, to the CMS's origin only", () => {
    expect(browser.parent.postMessage.mock.calls).toEqual([[{ type: "quillkeep:ready" }, CMS]]);
  });
  test("reloads when the CMS says so, and keeps the place", () => {
    browser.fire("message", refresh());
    expect(browser.page.reload).toHaveBeenCalledOnce();
    start();
    browser.fire("load");
    expect(browser.page.scrollTo).toHaveBeenCalledWith(0, 420);
    expect(browser.stored.size).toBe(0);
  });
  test.each([
    ["another origin", { origin: "https://evil.example" }],
    ["a lookalike", { origin: `${CMS}.evil.example` }],
    ["no origin", { origin: "null" }],
    ["another window of the CMS", { source: {} }],
    ["nobody", { source: null }],
    ["another type", { data: { type: "quillkeep:ready" } }],
    ["a text", { data: "quillkeep:refresh" }],
    ["nothing", { data: null }],
  ])("ignores %s", (_name, change) => {
    browser.fire("message", { ...refresh(), ...change });
    expect(browser.page.reload).not.toHaveBeenCalled();
    expect(browser.stored.size).toBe(0);
  });
  test.each(["[", '["/elsewhere",5]', '["/blog/x","5"]', "null", "{}"])("survives %j in the storage", (text) => {
    browser.stored.set("quillkeep:scroll", text);
    start();
    browser.fire("load");
    expect(browser.page.scrollTo).not.toHaveBeenCalled();
    expect(browser.parent.postMessage).toHaveBeenCalled();
  });
  test("does without storage", () => {
    browser = frame({ storage: false });
    start();
    browser.fire("load");
    browser.fire("message", refresh());
    expect(browser.parent.postMessage).toHaveBeenCalledOnce();
    expect(browser.page.reload).toHaveBeenCalledOnce();
  });
  test("does nothing outside a frame", () => {
    browser = frame({ framed: false });
    start();
    expect(browser.listeners.size).toBe(0);
  });
});

test.each(["*", "", "null", "cms.example.com", `${CMS}/`, `${CMS}/admin`, "https://a@b", "javascript:alert(1)", `${CMS}"</script>`])(
  "%j is no origin to speak to",
  (cmsOrigin) => {
    expect(() => startBridge({ cmsOrigin })).toThrow(TypeError);
    expect(() => bridgeScript(cmsOrigin)).toThrow(TypeError);
  },
);

test("the script can't end its own element", () => {
  expect(bridgeScript("http://localhost:8000")).not.toMatch(/<|-->/);
});

test("it can be stopped", () => {
  const browser = frame();
  startBridge({ cmsOrigin: CMS })();
  expect(browser.listeners.size).toBe(0);
});
