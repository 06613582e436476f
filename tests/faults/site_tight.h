/*
 * site_tight.h - what workers of a SITE_TIGHT may have.
 */
#ifndef TESTS_FAULTS_SITE_TIGHT_H
#define TESTS_FAULTS_SITE_TIGHT_H

/* Some 30 open replies for each worker (front_limits_for()). */
enum { SITE_TIGHT_DESCRIPTORS = 80 };

#endif
