/* Passkeys: buttons that ask the browser for one, put its answer into the form, and send it.

   <button type="button" data-passkey="sign-in" data-into="credential" hidden> for one that exists, and
   data-passkey="enrolment" for a new one. Without a script, or in a browser without passkeys, they stay hidden. */

/** Bring the buttons of a part of a page to life; the dialog that signs people in again has some too. */
export function passkeys(root) {
  if (!window.PublicKeyCredential) return;
  for (const button of root.querySelectorAll("button[data-passkey]")) {
    button.hidden = false;
    button.addEventListener("click", () => show(button));
  }
}

async function show(button) {
  const form = button.form;
  const said = form.querySelector("[data-passkey-said]");
  if (said) said.textContent = "";
  button.disabled = true;
  try {
    const credential = await ceremony(button.dataset.passkey, form);
    form.elements.namedItem(button.dataset.into).value = JSON.stringify(credential);
    form.noValidate = true; // nothing else has to be typed then
    form.requestSubmit();
  } catch (error) {
    if (said) said.textContent = sentence(error);
  } finally {
    button.disabled = false;
  }
}

async function ceremony(purpose, form) {
  const body = new FormData();
  body.set("for", purpose);
  body.set("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
  const answer = await fetch("/admin/passkey/", { method: "POST", body, headers: { "X-Requested-With": "quillkeep" } });
  const options = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(options.detail ?? "The server does not answer as it should. Try again.");
  return purpose === "enrolment" ? create(options) : get(options);
}

async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: (options.excludeCredentials ?? []).map(descriptor),
    },
  });
  return {
    ...head(made),
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function get(options) {
  const shown = await navigator.credentials.get({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: (options.allowCredentials ?? []).map(descriptor),
    },
  });
  return {
    ...head(shown),
    response: {
      clientDataJSON: text(shown.response.clientDataJSON),
      authenticatorData: text(shown.response.authenticatorData),
      signature: text(shown.response.signature),
      userHandle: shown.response.userHandle ? text(shown.response.userHandle) : null,
    },
  };
}

function head(credential) {
  return { id: credential.id, rawId: text(credential.rawId), type: credential.type, clientExtensionResults: {} };
}

function descriptor(item) {
  return { ...item, id: bytes(item.id) };
}

function bytes(base64url) {
  const binary = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function text(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function sentence(error) {
  if (error.name === "NotAllowedError") return "No passkey was shown. Try again, or use another way.";
  if (error.name === "InvalidStateError") return "This device holds a passkey of yours already.";
  if (error.name === "SecurityError") return "Passkeys don’t work under this address. Open the site by its own name.";
  return error.message;
}

passkeys(document);
