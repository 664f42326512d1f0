// Published articles, from the delivery API; the same shape as a draft's.

import type { DraftDocument } from "@quillkeep/preview";
import { config } from "./config.mjs";

export interface Article extends DraftDocument {
  readonly title: string;
  readonly slug: string;
  readonly summary?: string | null;
  /** Markdown, as HTML that the CMS has sanitized. */
  readonly body: { readonly html: string };
  readonly author?: { readonly name?: string } | null;
  readonly category?: string | null;
  readonly tags?: readonly string[] | null;
  readonly written_on?: string | null;
  readonly colour?: string | null;
}

const CATEGORIES: Record<string, string> = { journal: "Journal", workshop: "From the workshop", news: "News" };

/** All published articles, the newest first. */
export async function publishedArticles(): Promise<Article[]> {
  const articles: Article[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: "100", sort: "-written_on", expand: "author" });
    if (cursor !== null) query.set("cursor", cursor);
    const response = await fetch(`${config.internalUrl}/api/v1/content/articles?${query}`);
    if (!response.ok) throw new Error(`The CMS answered ${response.status} for the articles.`);
    const page = (await response.json()) as { data: Article[]; meta: { next_cursor: string | null } };
    articles.push(...page.data);
    cursor = page.meta.next_cursor;
  } while (cursor !== null);
  return articles.filter((article) => article.slug);
}

/** The HTML of a body, with links to other entries (`quillkeep:entry/<id>`) leading to their pages here. */
export function withLinks(html: string, articles: readonly Article[]): string {
  const slugs = new Map(articles.map((article) => [article._id, article.slug]));
  return html.replace(/href="quillkeep:entry\/([0-9a-f-]{36})"/g, (_, id: string) => {
    const slug = slugs.get(id);
    return slug === undefined ? "" : `href="/blog/${encodeURIComponent(slug)}"`;
  });
}

export function categoryOf(article: Article): string {
  return CATEGORIES[article.category ?? ""] ?? "Journal";
}

export function colourOf(article: Article): string {
  return /^#[0-9a-f]{6}$/i.test(article.colour ?? "") ? article.colour! : "#1d3557";
}

export function dayOf(article: Article): string | null {
  const day = article.written_on;
  return day ? new Date(`${day}T00:00:00Z`).toLocaleDateString("en-GB", { dateStyle: "long", timeZone: "UTC" }) : null;
}
