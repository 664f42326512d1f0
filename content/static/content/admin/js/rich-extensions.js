/* What we add to the rich text editor: links to entries, and pasted text without the droppings of word processors. */

import { Extension, Plugin } from "django-prose-editor/editor";
import { pickEntry } from "./reference.js";
import { tidyPasted } from "./pasted.js";

const SCHEME = "quillkeep:entry/";

export const CleanPaste = Extension.create({
  name: "cleanPaste",
  addProseMirrorPlugins() {
    return [new Plugin({ props: { transformPastedHTML: tidyPasted } })];
  },
});

export const EntryLink = Extension.create({
  name: "entryLink",
  addOptions() {
    return { collections: [] };
  },
  addMenuItems({ menu, buttons }) {
    menu.defineItem({
      name: "entryLink",
      groups: "link",
      button: buttons.material("article", "Link to an entry"),
      active: (editor) => (editor.getAttributes("link").href ?? "").startsWith(SCHEME),
      command: (editor) => linkTo(editor, this.options.collections),
    });
  },
});

/** Ask for an entry and link the selected words to it; without any, its title is put in. */
async function linkTo(editor, collections) {
  const entry = await pickEntry({ collections });
  if (!entry) {
    editor.commands.focus();
    return;
  }
  const href = `${SCHEME}${entry.id}`;
  const chain = editor.chain().focus();
  if (editor.state.selection.empty && !editor.isActive("link")) {
    chain.insertContent({ type: "text", text: entry.title, marks: [{ type: "link", attrs: { href } }] }).run();
  } else {
    chain.extendMarkRange("link").setLink({ href }).run();
  }
}
