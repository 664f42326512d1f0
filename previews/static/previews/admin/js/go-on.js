/* Goes on to the site with the code in the body of a form; without a script people press its button. */

document.querySelector("form[data-qk-go-on]")?.submit();
