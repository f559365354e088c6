/* SPDX-License-Identifier: MIT */
/*
 * A line of text, put together piece by piece.
 *
 * Knows: columns, digits, what a terminal and what JSON can show. Does not know: heaps.
 * Always holds: it ends in '\0', inside its room; a piece that exceeds that is cut.
 * Cost: proportional to what is added. No printf: DMOD's has no widths and no size_t.
 */
#ifndef DMHEAP_LINE_H
#define DMHEAP_LINE_H

#include "dmheap_bits.h"

#include <string.h>

struct line {
    char* text;
    size_t room; /* bytes there, 1 at least */
    size_t length;
};

static inline void line_clear(struct line* line)
{
    line->length = 0;
    line->text[0] = '\0';
}

static void line_add(struct line* line, char sign)
{
    DMHEAP_ASSERT(line->length + 1 < line->room);
    if (line->length + 1 < line->room) {
        line->text[line->length++] = sign;
        line->text[line->length] = '\0';
    }
}

static void line_add_text(struct line* line, const char* text)
{
    while (*text != '\0') {
        line_add(line, *text++);
    }
}

/* Up to a column, where the text is not there yet. */
static void line_pad(struct line* line, size_t column)
{
    while (line->length < column) {
        line_add(line, ' ');
    }
}

/* The number's digits, with `fill` in front until there are `width` of them. */
static void line_add_digits(struct line* line, uintptr_t number, unsigned base, unsigned width,
                            char fill)
{
    char digits[3 * sizeof(number)];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    for (; width > count; width--) {
        line_add(line, fill);
    }
    while (count != 0) {
        line_add(line, digits[--count]);
    }
}

static void line_add_number(struct line* line, uintptr_t number, unsigned width)
{
    line_add_digits(line, number, 10, width, ' ');
}

static void line_add_address(struct line* line, uintptr_t address)
{
    line_add_text(line, "0x");
    line_add_digits(line, address, 16, 8, '0');
}

/* `part` of `whole`, which is not 0, in percent and tenths. */
static void line_add_share(struct line* line, uintptr_t part, uintptr_t whole)
{
    const unsigned share = bits_share_shown(part, whole, 1000);
    line_add_number(line, share / 10, 3);
    line_add(line, '.');
    line_add_number(line, share % 10, 0);
    line_add_text(line, " %");
}

static inline bool line_is_printable(char sign)
{
    return (unsigned char)sign >= 0x20 && (unsigned char)sign < 0x7F;
}

/* A name in as many columns at most: of a longer one the end, which tells instances apart. */
static void line_add_name(struct line* line, const char* name, size_t columns)
{
    const size_t length = strlen(name);
    if (length > columns) {
        line_add_text(line, "...");
        name += length - columns + 3;
    }
    for (; *name != '\0'; name++) {
        const char sign = *name;
        if (line_is_printable(sign)) {
            line_add(line, sign);
        } else {
            line_add(line, '?');
        }
    }
}

/* As a string of JSON; a byte that is no printable ASCII counts as the code point of that number. */
static void line_add_string(struct line* line, const char* text)
{
    line_add(line, '"');
    for (; *text != '\0'; text++) {
        if (!line_is_printable(*text)) {
            line_add_text(line, "\\u");
            line_add_digits(line, (unsigned char)*text, 16, 4, '0');
            continue;
        }
        if (*text == '"' || *text == '\\') {
            line_add(line, '\\');
        }
        line_add(line, *text);
    }
    line_add(line, '"');
}

#endif
