/*
 * template.h - a webhook's topic and type: "github/{json.repository.full_name}/{header.x-…}".
 *
 * What stands in braces is found in the delivery (delivery_find).  In a topic every value is
 * escaped as bellpush.escape() does it in SQL: whoever chooses a repository's name cannot forge a
 * level, a wildcard or a system topic.
 */
#ifndef HANDLERS_TEMPLATE_H
#define HANDLERS_TEMPLATE_H

#include "handlers/delivery.h"

enum { TEMPLATE_WHY_MAX = 200 };

/*
 * Append.  RC_SYNTAX: the template is none; RC_DENIED: the delivery lacks what it names, or has it
 * twice; *why then says so for a person.  RC_NOMEM.
 */
enum rc template_fill(struct slice text, struct delivery *, bool escape, struct buf *out,
                      char why[TEMPLATE_WHY_MAX]) MUST_USE;

/* Append with %, /, +, #, $ and control characters as %XX. */
void template_escape(struct buf *out, struct slice value);

#endif
