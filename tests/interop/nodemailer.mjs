// Sends one mail through Nodemailer: node nodemailer.mjs MODULES SETTINGS-AS-JSON, the mail as JSON on standard input.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [modules, settings] = process.argv.slice(2);
const nodemailer = createRequire(`${modules}/`)("nodemailer");
const told = await nodemailer.createTransport(JSON.parse(settings)).sendMail(JSON.parse(readFileSync(0)));
process.stdout.write(told.response);
