/* Tiptap adds one inline <style> unless it finds its own. This one carries the nonce, so that the policy lets it be. */
{
  const style = document.createElement("style");
  style.dataset.tiptapStyle = "";
  style.nonce = document.currentScript.nonce;
  style.textContent =
    ".ProseMirror{position:relative;white-space:pre-wrap;word-wrap:break-word;-webkit-font-variant-ligatures:none;" +
    "font-variant-ligatures:none}.ProseMirror pre{white-space:pre-wrap}.ProseMirror li{position:relative}" +
    ".ProseMirror-hideselection *::selection{background:transparent}.ProseMirror-gapcursor{display:none;" +
    "pointer-events:none;position:absolute}.ProseMirror-focused .ProseMirror-gapcursor{display:block}";
  document.head.append(style);
}
