//! Reads the pages' markup just well enough to check it.

use std::collections::BTreeSet;

pub(crate) struct FormMarkup {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

/// The start tags of one element.
pub(crate) fn tags<'a>(html: &'a str, element: &str) -> Vec<&'a str> {
    let open = format!("<{element}");
    let starts = html
        .match_indices(&open)
        .filter(|(at, _)| html[at + open.len()..].starts_with([' ', '>', '\n']));
    starts
        .map(|(at, _)| &html[at..=at + html[at..].find('>').unwrap()])
        .collect()
}

/// An attribute of a start tag, unescaped.
pub(crate) fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    let value = &rest[..rest.find('"').unwrap()];
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    text.replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#34;", "\"")
        .replace("&#39;", "'")
        .replace("&#38;", "&")
}

/// The first POST form of the page that is not "Sign out", with the values a browser would send.
pub(crate) fn form(html: &str) -> FormMarkup {
    forms(html)
        .into_iter()
        .find(|form| form.action != "/dashboard/sign-out")
        .expect("the page has a form")
}

/// All POST forms of the page.
pub(crate) fn forms(html: &str) -> Vec<FormMarkup> {
    let posts = html
        .match_indices("<form")
        .map(|(at, _)| &html[at..at + html[at..].find("</form>").unwrap()]);
    let posts = posts.filter(|form| form.contains("method=\"post\""));
    let read = |form: &str| {
        let mut fields: Vec<(String, String)> = Vec::new();
        for tag in tags(form, "input") {
            let kind = attribute(tag, "type").unwrap_or_default();
            let off = matches!(kind.as_str(), "checkbox" | "radio") && !tag.contains(" checked");
            if !off && !tag.contains(" disabled") {
                fields.extend(
                    attribute(tag, "name")
                        .map(|name| (name, attribute(tag, "value").unwrap_or_default())),
                );
            }
        }
        for tag in tags(form, "select") {
            let name = attribute(tag, "name").unwrap();
            let at = form.find(tag).unwrap();
            let options = &form[at..at + form[at..].find("</select>").unwrap()];
            let options = tags(options, "option");
            let chosen = options
                .iter()
                .find(|tag| tag.contains(" selected"))
                .or(options.first());
            fields.extend(chosen.map(|tag| (name, attribute(tag, "value").unwrap())));
        }
        for tag in tags(form, "textarea") {
            let at = form.find(tag).unwrap() + tag.len();
            let text = &form[at..at + form[at..].find("</textarea>").unwrap()];
            fields.push((attribute(tag, "name").unwrap(), unescape(text)));
        }
        FormMarkup {
            action: attribute(tags(form, "form")[0], "action").unwrap(),
            fields,
        }
    };
    posts.map(read).collect()
}

/// What an accessibility checker would say first: language, title, one heading, one main part,
/// unique ids, a label for each input, a name for each button, no script, no inline style, nothing
/// from another host.
pub(crate) fn assert_is_accessible(html: &str) {
    assert!(html.starts_with("<!doctype html>") && html.contains("<html lang=\"en\">"));
    let title = html.split_once("<title>").unwrap().1;
    assert!(!title.starts_with("</title>"), "no title");
    assert_eq!(tags(html, "h1").len(), 1, "one main heading: {html}");
    assert_eq!(tags(html, "main").len(), 1, "one main part");
    assert!(
        html.contains("href=\"#content\"") && html.contains("id=\"content\""),
        "skip link"
    );
    assert!(tags(html, "script").is_empty(), "no script");
    assert!(
        !html.contains(" style=\"") && tags(html, "style").is_empty(),
        "no inline style"
    );
    for tag in html
        .split('<')
        .filter(|tag| tag.starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        let tag = tag.split('>').next().unwrap();
        assert!(
            !tag.contains(" on") || !tag.contains("=\"") || !has_handler(tag),
            "event handler: {tag}"
        );
        let src = attribute(&format!("<{tag}>"), "src");
        assert!(src.is_none(), "nothing is embedded: {tag}");
        if tag.starts_with("link") {
            let href = attribute(&format!("<{tag}>"), "href").unwrap();
            assert!(href.starts_with("/assets/"), "{href}");
        }
    }
    let mut ids = BTreeSet::new();
    for part in html.split(" id=\"").skip(1) {
        let id = part.split('"').next().unwrap();
        assert!(ids.insert(id.to_owned()), "id {id} occurs twice");
    }
    let label_for: BTreeSet<String> = tags(html, "label")
        .into_iter()
        .filter_map(|tag| attribute(tag, "for"))
        .collect();
    for element in ["input", "select", "textarea"] {
        for tag in tags(html, element) {
            let kind = attribute(tag, "type").unwrap_or_default();
            let labelled = attribute(tag, "id").is_some_and(|id| label_for.contains(&id))
                || attribute(tag, "aria-label").is_some_and(|label| !label.is_empty())
                || inside_label(html, tag);
            assert!(kind == "hidden" || labelled, "no label: {tag}");
        }
    }
    for described in html.split("aria-describedby=\"").skip(1) {
        for id in described.split('"').next().unwrap().split(' ') {
            assert!(ids.contains(id), "aria-describedby names a missing {id}");
        }
    }
    for form in forms(html) {
        assert!(
            form.fields
                .iter()
                .any(|(name, value)| name == "csrf" && !value.is_empty()),
            "token in {}",
            form.action
        );
        assert!(
            form.action.starts_with('/') && !form.action.starts_with("//"),
            "{}",
            form.action
        );
    }
    for button in html.split("<button").skip(1) {
        let text = button.split_once('>').unwrap().1;
        assert!(!text.starts_with("</button>"), "button without a name");
    }
}

fn has_handler(tag: &str) -> bool {
    tag.split(' ').any(|word| {
        word.strip_prefix("on")
            .and_then(|word| word.split_once("=\""))
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_lowercase()))
    })
}

fn inside_label(html: &str, tag: &str) -> bool {
    html.match_indices(tag).all(|(at, _)| {
        let before = &html[..at];
        before.rfind("<label") > before.rfind("</label>")
    })
}

/// Fails when text that the page shows holds characters that change the order of what follows.
pub(crate) fn is_not_turned_around(page: &str, what: &str) {
    let turns = |text: &str| {
        let mut letters = text.chars();
        letters.any(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    for piece in page.split('<') {
        let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
        assert!(
            tag.starts_with("textarea") || !turns(text),
            "{what}: {text}"
        );
    }
}
