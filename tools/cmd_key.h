/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_key: the commands below "certmill key", one file each. */
#pragma once

int cmd_key_new(int argc, char **argv);
int cmd_key_list(int argc, char **argv);
int cmd_key_test(int argc, char **argv);
int cmd_key_rewrap(int argc, char **argv);
