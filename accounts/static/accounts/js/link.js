/* Takes the secret of a mail's link from behind the `#`, out of the address, and sends it in a form. */

const form = document.querySelector("#link-form");

function take() {
  const secret = location.hash.slice(1);
  if (!secret || !form) return;
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = secret;
  form.requestSubmit();
}

take();
addEventListener("hashchange", take); // a second link, opened in the tab of the first
