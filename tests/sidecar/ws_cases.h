/*
 * ws_cases.h - what conformance suites send, and what it means; by the numbers of the field's
 * suite. For the codec alone (ws_cases_test.c) and for the whole over sockets (ws_echo_test.c).
 */
#ifndef TESTS_SIDECAR_WS_CASES_H
#define TESTS_SIDECAR_WS_CASES_H

struct ws_case {
    const char *number;
    const char *script; /* ws_script.h */
    const char *want;   /* what ws_transcript() begins with */
};

/* 2 to 5, and 7; ends with one of NULLs. */
extern const struct ws_case ws_cases[];

/* 6: texts that are UTF-8, and that are not; each list ends with NULL. */
extern const char *const ws_cases_utf8[], *const ws_cases_not_utf8[];

#endif
