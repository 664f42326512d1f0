import node from "@astrojs/node";
import { defineConfig, passthroughImageService } from "astro/config";

export default defineConfig({
  // Pages are static; only those that say `prerender = false` run on request (the draft, the handoff, the exit).
  output: "static",
  // As a function that server.mjs calls: it decides between the static page and the draft.
  adapter: node({ mode: "middleware" }),
  trailingSlash: "never",
  build: { format: "file", inlineStylesheets: "never" },
  // Astro would refuse the CMS's form post (response_mode=form_post) as one from another site. The handoff takes
  // nothing but a one-time code, and the exit checks its origin itself; there are no other forms here.
  security: { checkOrigin: false },
  image: { service: passthroughImageService() },
  devToolbar: { enabled: false },
});
