DROP INDEX "unsettled_pdus_of_room";--> statement-breakpoint
ALTER TABLE "unsettled_pdus" DROP CONSTRAINT "unsettled_pdus_pkey";--> statement-breakpoint
ALTER TABLE "unsettled_pdus" ADD CONSTRAINT "unsettled_pdus_room_key_origin_event_id_pk" PRIMARY KEY("room_key","origin","event_id");
