// What every page does in the browser. All of it is extra: without it, links and forms work as they are.
import { again } from "./again.js";
import { copyButtons } from "./copy.js";
import { drafts } from "./drafts.js";
import { follow } from "./follow.js";
import { onceForms, utcInputs } from "./forms.js";
import { keys } from "./keys.js";
import { live } from "./live.js";
import { menus } from "./menus.js";
import { selecting } from "./selecting.js";
import { tabs } from "./tabs.js";
import { themeSwitch } from "./themes.js";
import { tellTimes } from "./time.js";

themeSwitch();
copyButtons();
onceForms();
utcInputs();
drafts();
keys();
menus();
selecting();
tabs();
tellTimes();
follow(document.querySelector(".graph"));
live();
again();
