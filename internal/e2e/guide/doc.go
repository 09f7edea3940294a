// Package guide looks at the pages of the guide with a real browser: headless Chromium, driven over its debugging pipe, against
// the built program.
package guide
