"""One function, one command, one answer: is it sound, what does it cost, does it help?"""
