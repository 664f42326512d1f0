import { describe, expect, test } from "vitest";
import { sameSitePath } from "../src/index.js";

const ORIGIN = "https://www.example.com";

describe("paths of this site", () => {
  test.each([
    ["/", "/"],
    ["/blog/my-slug", "/blog/my-slug"],
    ["/blog/my-slug/", "/blog/my-slug/"],
    ["/blog?page=2&sort=a", "/blog?page=2&sort=a"],
    ["/blog/über-möwen", "/blog/%C3%BCber-m%C3%B6wen"],
    ["/blog/%C3%BCber", "/blog/%C3%BCber"],
    ["/ブログ/灯台", "/%E3%83%96%E3%83%AD%E3%82%B0/%E7%81%AF%E5%8F%B0"],
    ["/a.b/c~d_e", "/a.b/c~d_e"],
  ])("%j", (path, expected) => {
    expect(sameSitePath(path, ORIGIN)).toBe(expected);
  });
});

describe("everything else", () => {
  const hosts = ["evil.example", "evil.example/x", "www.example.com@evil.example", "xn--e1awd7f.example"];
  const prefixes = [
    "//", "///", "////", "/\\", "\\/", "\\\\", "/\\/", "https:", "https:/", "https://", "https:///", "http:", "HTTPS://",
    "/\t/", "\t//", "/\n/", "/\r/", "\n//", " //", "/ /", "@", "/@", "/%2f", "/%2F", "%2f%2f", "%2F%2F", "/%5c", "/%5C",
    "/%252f", "/%09/", "/%0d%0a", "/%0a/", "/%00", "/./", "/.//", "/..//", "/x/..//", "/%2e%2e//", "/x/%2e%2e/", "/x/../",
    "/／", "／／", "/。/", "/＼", "/․․/", "//user:pass@", "ftp://", "blob:", "filesystem:", "ws://", "?//", "#//", "/#", ".", "..",
    "/\u2028/", "/\u00a0/", "/\u200b/", "/\u202e/", "/\ufeff/", "/%ff%zz", "/%", "/x\u0000", "/x\u007f", "/<b>", '/"', "/`", "/{", "/|", "/^",
  ];
  test.each(prefixes)("%j before any host", (prefix) => {
    for (const host of hosts) expect(sameSitePath(prefix + host, ORIGIN)).toBeNull();
  });
  test.each([
    "", "blog", "javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,x", "vbscript:x", "https:evil.example",
    "\u0001/blog", "/blog\r\nSet-Cookie: a=b", "/blog\r\n\r\n<script>", `/${"a".repeat(2048)}`, "/bl\ud800og", "/ｅvil",
    "https://www.example.com/blog", "//www.example.com/blog", "mailto:a@b.c", "/a@b",
  ])("%j", (path) => {
    expect(sameSitePath(path, ORIGIN)).toBeNull();
  });
  test("whatever comes, the answer is null or one slash and then none", () => {
    const pieces = ["/", "\\", ".", "..", "%2e", "%2f", "%5c", "%25", "@", ":", "?", "#", "//", "\t", "e", "evil.example", "https:", "é", "／"];
    let seed = 7;
    const next = () => (seed = (seed * 48_271) % 2_147_483_647);
    for (let round = 0; round < 50_000; round += 1) {
      const text = Array.from({ length: 1 + (next() % 7) }, () => pieces[next() % pieces.length]).join("");
      const path = sameSitePath(text, ORIGIN);
      if (path === null) continue;
      expect(path).toMatch(/^\/(?![/\\])[\x21-\x7e]*$/);
      expect(new URL(path, ORIGIN).origin).toBe(ORIGIN);
    }
  });
});
