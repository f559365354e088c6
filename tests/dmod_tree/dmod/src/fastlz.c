/* SPDX-License-Identifier: MIT */
/* Something for dmod_fastlz to be made of: no compression. */
int Dmod_FastlzLevel(void);
int Dmod_FastlzLevel(void)
{
    return 0;
}
