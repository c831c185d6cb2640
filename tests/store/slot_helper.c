#include "slot_helper.h"

const hf_slotfile_options creating = {.create = true, .patience_ms = PATIENCE_MS};
const hf_slotfile_options looking = {.patience_ms = PATIENCE_MS};

hf_slotfile *new_file(const hf_slotfile_options *options)
{
	hf_slotfile *file;

	assert_int_equal(hf_slotfile_new(scratch_path("x"), options, &file, NULL), HF_OK);
	return file;
}

hf_slotfile *locked_file(void)
{
	hf_slotfile *file;
	hf_slot_content content;

	if (hf_slotfile_new(scratch_path("x"), &creating, &file, NULL) ||
		hf_slotfile_lock(file, &content, NULL))
		return NULL;
	hf_slot_content_clear(&content);
	return file;
}

void put(const char *text)
{
	hf_slotfile *file = new_file(&creating);
	hf_slot_content content;

	assert_int_equal(hf_slotfile_lock(file, &content, NULL), HF_OK);
	assert_int_equal(hf_slotfile_write(file, text, strlen(text), NULL), HF_OK);
	hf_slotfile_unlock(file);
	hf_slot_content_clear(&content);
	hf_slotfile_free(file);
}

hf_status get(hf_slot_content *content)
{
	hf_slotfile *file = new_file(&looking);
	hf_status st = hf_slotfile_read(file, content, NULL);

	if (!st)
		st = hf_slot_content_own(content, NULL);
	hf_slotfile_free(file);
	return st;
}

void expect_text(const char *text)
{
	hf_slot_content content;

	assert_int_equal(get(&content), HF_OK);
	assert_string_equal(content.data ? content.data : "(nothing)", text);
	hf_slot_content_clear(&content);
}
