/* SPDX-License-Identifier: MIT */
#include "dmod_types.h"

/* Something for dmod_common to be made of. */
bool Dmod_IsSignature(const char* Text);
bool Dmod_IsSignature(const char* Text)
{
    return Text[0] == '\021';
}
