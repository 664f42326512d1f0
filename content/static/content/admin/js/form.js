/* What the form of an entry loads: each module is one comfort. Without any of it the form works too. */

import "./tabs.js";
import "./conditions.js";
import "./counters.js";
import "./long-text.js";
import "./slug.js";
import "./parts.js";
import "./reference.js";
import "./moments.js";
import "./json.js";
import "./colour.js";
import "./place.js";
import "./markdown.js";
import "./tags.js";
import "./checks.js";
import "./opening.js";
import "./rich.js";
import "./marks.js";
import "./save.js";
import "./leave.js";
import "./publish.js";
import "./presence.js";

performance.mark("qk:ready"); // `bench` measures until here
